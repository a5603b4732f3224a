//! A shell or program is not found when something is run inside a container.

use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Message;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0235",
    key: "image-without-path-env",
    title: "program not found inside a running container",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static PROGRAM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"exec: \\?"([^"\\]+)\\?": (?:executable file not found in \$PATH|stat [^:]+: no such file or directory)"#).ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<(&(String, String), String)> = Vec::new();
    for message in read.failures().filter(|message| inside(message)) {
        let Some(found) = PROGRAM.as_ref().and_then(|form| form.captures(&message.text)) else { continue };
        let program = found[1].to_owned();
        if seen.contains(&(&message.pod, program.clone())) {
            continue;
        }
        let name = if message.pod.1.is_empty() { asked_pod(evidence, message) } else { message.pod.1.clone() };
        let place = Place::Object { kind: "Pod".to_owned(), namespace: message.pod.0.clone(), name, field: String::new() };
        let finding = match environment(evidence) {
            Some((item, line, false)) => {
                let finding = findings.proven(place, format!("{program} is not found in the container: its image sets no PATH"));
                finding.quote(item, line);
                finding
            }
            Some((item, line, true)) => {
                let finding = findings.likely(place, format!("{program} is not in the image's PATH"));
                finding.quote(item, line);
                finding
            }
            None => {
                let finding = findings.open(place, format!("{program} is not found in the container: the image sets no PATH, or does not have it"));
                finding.or(&["entrypoint-not-found"]).needs(&[
                    "Env (PATH) of the image: crictl inspecti, docker inspect",
                    "whether the image has sh (/bin/sh)",
                ]);
                finding
            }
        };
        for other in read.failures().filter(|other| inside(other) && other.pod == message.pod) {
            finding.message(other);
        }
        let fix = Fix::manual("name the program by its full path, or use a probe that needs none")
            .step("crictl inspecti IMAGE | grep -i path")
            .step("kubectl exec … -- /bin/sh; probes: httpGet, tcpSocket or grpc instead of exec")
            .step("kubectl debug -it POD --image=busybox   # for an image without a shell");
        finding.fix(fix);
        seen.push((&message.pod, program));
    }
}

/// Whether something was run inside a container that runs; a container that can't start is another matter.
fn inside(message: &Message) -> bool {
    const WORDS: [&str; 6] =
        ["exec failed", "failed to exec in container", "probe errored", "failed to start exec", "ExecSync", "runtime exec"];
    let text = &message.text;
    let start = text.contains("runc create failed") || text.contains("OCI runtime create failed") || text.contains("failed to create containerd task");
    WORDS.iter().any(|words| text.contains(words)) && !start
}

/// The pod of `kubectl exec POD`.
fn asked_pod(evidence: &Evidence, message: &Message) -> String {
    let source = evidence.items()[message.item].origin.source();
    let Some((_, rest)) = source.split_once(" exec ") else { return String::new() };
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "-n" | "-c" | "--namespace" | "--container" => {
                words.next();
            }
            flag if flag.starts_with('-') => {}
            pod => return pod.to_owned(),
        }
    }
    String::new()
}

/// The environment of the image, if it is shown: item, line, and whether it sets a PATH.
fn environment(evidence: &Evidence) -> Option<(usize, u32, bool)> {
    let shows = |source: &str| ["inspect", "skopeo", "crane config", "image config", "Env"].iter().any(|word| source.contains(word));
    for (number, item) in evidence.items().iter().enumerate().filter(|(_, item)| shows(item.origin.source())) {
        let line_of = |words: &str| {
            let at = item.text.lines().position(|line| line.contains(words));
            at.and_then(|at| u32::try_from(at + 1).ok())
        };
        if let Some(line) = line_of("PATH=") {
            return Some((number, line, true));
        }
        if let Some(line) = line_of("Env").or_else(|| line_of("env")).or_else(|| item.origin.source().contains("Env").then_some(1)) {
            return Some((number, line, false));
        }
    }
    None
}
