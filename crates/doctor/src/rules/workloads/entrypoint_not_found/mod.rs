//! The command of a container names a program that is not in the image or not on its PATH.

use std::sync::LazyLock;

use regex::Regex;

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::log::Level;
use crate::read::{Message, Read, Speaker};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0604",
    key: "entrypoint-not-found",
    title: "program that the container is to run is not in its image",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// runc, crun and Docker name the program in their own ways.
static PROGRAM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"exec: "(?P<a>[^"]+)": (?:stat [^:]+: no such file or directory|executable file not found in \$PATH|no such file or directory)"#,
        r#"|executable file [`'"](?P<b>[^`'"]+)[`'"] not found(?: in \$PATH)?"#,
        r#"|(?:^|[^a-z])exec (?P<c>/[^\s:]+): no such file or directory"#,
        r#"|^(?:/bin/)?(?:ba|a)?sh: (?:line )?(?:\d+: )?(?:exec: )?(?:line \d+: )?(?P<d>[^\s:]+): (?:command )?not found$"#,
        r#"|Cannot find module '(?P<e>[^']+)'"#,
        r#"|can't open file '(?P<f>[^']+)'"#,
    ))
    .ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut told = false;
    // containerd tells in its log which of its own plugins it does without, and why.
    let is_note = |message: &Message| message.speaker == Speaker::Containerd && message.level == Level::Quiet;
    for message in read.messages.iter().filter(|message| !message.over && !is_note(message)) {
        let Some(program) = program(evidence, message) else { continue };
        told = true;
        if is_exec(message) {
            ask(message, &program, findings);
            continue;
        }
        let interpreter = message.text.contains(&format!("exec {program}: no such file"));
        let cause = if interpreter {
            format!("`{program}` can't be run: it, or the interpreter that its first line names, is not in the image")
        } else {
            format!("the image has no `{program}`")
        };
        let finding = findings.likely(subjects::pod_of(message), cause);
        finding.message(message);
        explain_restarts(read, message, finding);
        let mut fix = Fix::manual("correct `command` or `args`, or build the program into the image");
        if interpreter {
            fix = fix.step("a script with Windows line ends looks for an interpreter that ends with a carriage return");
        }
        finding.fix(fix.step(format!("crictl inspecti IMAGE, or run the image elsewhere and look for `{program}`")));
    }
    if !told {
        by_exit_code(evidence, findings);
    }
}

fn program(evidence: &Evidence, message: &Message) -> Option<String> {
    let found = PROGRAM.as_ref()?.captures(&message.text)?;
    let plain = ["d", "e", "f"].iter().any(|name| found.name(name).is_some());
    // What a program prints counts only as the log of a container.
    let is_log = evidence.items().get(message.item).is_some_and(|item| item.origin.source().contains("logs"));
    let is_kubelet = message.text.contains("mount") && message.text.contains("MountVolume");
    if plain && !is_log || is_kubelet {
        return None;
    }
    found.iter().skip(1).flatten().next().map(|program| program.as_str().to_owned())
}

/// Whether a command was to be run in a container that runs: a probe, a hook, `kubectl exec`.
fn is_exec(message: &Message) -> bool {
    ["failed to exec in container", "OCI runtime exec failed", "probe errored", "probe failed", "PostStartHook", "PreStopHook"]
        .iter()
        .any(|words| message.text.contains(words))
}

/// A shell is not found in a container that runs: there is none, or there is no PATH.
fn ask(message: &Message, program: &str, findings: &mut Findings<'_>) {
    let cause = format!("`{program}` is not found in the running container: the image has none, or sets no PATH");
    let finding = findings.open(subjects::pod_of(message), cause);
    finding.message(message);
    finding.or(&["image-without-path-env"]).needs(&[
        "Env of the image (PATH)",
        "whether the program (/bin/sh) is in the image",
        "containerd --version",
    ]);
    finding.fix(Fix::manual("use a probe without a shell (httpGet, tcpSocket, grpc), or name the program with its whole path"));
}

/// Restarts that follow from it are no trouble of their own.
fn explain_restarts(read: &Read, message: &Message, finding: &mut Finding) {
    let same = |other: &&Message| other.item == message.item && other.pod == message.pod;
    for other in read.failures().filter(same).filter(|other| other.text.starts_with("Back-off restarting")) {
        finding.message(other);
    }
}

/// A shell says "not found" with code 127.
fn by_exit_code(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for pod in &read.pods {
        for container in &pod.containers {
            let Some(ended) = container.ended.as_ref().filter(|ended| ended.exit_code == 127) else { continue };
            if container.ready || PROGRAM.as_ref().is_none_or(|form| form.is_match(&ended.message)) {
                continue;
            }
            let cause = format!("the container `{}` ends with code 127: a command that it runs is not found", container.name);
            let finding = findings.likely(subjects::pod(pod, format!("spec.containers[{}].command", container.name)), cause);
            for message in read.about(pod).filter(|one| one.is_failure() && one.text.contains("restarting failed")) {
                finding.message(message);
            }
            finding.fix(Fix::manual("correct `command` or `args`, or the image").step("kubectl logs --previous POD"));
        }
    }
}
