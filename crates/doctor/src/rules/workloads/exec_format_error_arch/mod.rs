//! The node can't run the program: another architecture, or a script without its first line.

use std::sync::LazyLock;

use regex::Regex;

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Message;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0605",
    key: "exec-format-error-arch",
    title: "program is for another processor, or has no first line",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static ARCHITECTURE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(amd64|x86[_-]64|arm64(?:/v8)?|aarch64|arm/v7|armv7l?|armhf|s390x|ppc64le|riscv64)\b").ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> = evidence.read().messages.iter().filter(|message| !message.over && is_it(message)).collect();
    let Some(first) = messages.first() else { return };
    let known = architectures(evidence);
    let script = evidence.items().iter().any(|item| {
        let source = item.origin.source();
        (source.contains("head -") || source.contains("file ")) && !item.text.contains("exec format error")
    });
    let what = subjects::pods_of(&messages);
    let place = subjects::pod_of(first);
    let finding = match known.as_slice() {
        [one, other, ..] => {
            let cause = format!("image and node of {what} differ in architecture: {one} and {other}");
            findings.proven(place, cause)
        }
        [_] | [] if script => findings.likely(place, format!("the program of {what} can't be run: its script has no `#!` line")),
        [one] => findings.likely(place, format!("the program of {what} is for another processor; the evidence names {one}")),
        [] => {
            let cause = format!("the program of {what} can't be run by this processor, or is a script without a `#!` line");
            let finding = findings.open(place, cause);
            finding.needs(&[
                "kubectl get node -o wide / kubernetes.io/arch of the node",
                "architecture of the image (crictl inspecti)",
                "whether the entrypoint is a script without #!",
            ]);
            finding
        }
    };
    for message in messages {
        finding.message(message);
    }
    for other in evidence.read().failures().filter(|other| other.text.starts_with("Back-off restarting")) {
        finding.message(other);
    }
    finding.fix(
        Fix::manual("use an image for the node's architecture, or keep the pod on fitting nodes")
            .step("kubectl get nodes -L kubernetes.io/arch")
            .step("docker buildx build --platform linux/amd64,linux/arm64 …")
            .step("a script needs a first line such as #!/bin/sh"),
    );
}

fn is_it(message: &Message) -> bool {
    message.text.to_lowercase().contains("exec format error")
}

/// Architectures that the evidence names, each once.
fn architectures(evidence: &Evidence) -> Vec<&'static str> {
    let mut known: Vec<&'static str> = Vec::new();
    let Some(form) = ARCHITECTURE.as_ref() else { return known };
    for item in evidence.items() {
        for found in form.find_iter(&item.text).chain(form.find_iter(item.origin.source())) {
            let name = match found.as_str().to_lowercase().as_str() {
                "amd64" | "x86_64" | "x86-64" => "amd64",
                "s390x" => "s390x",
                "ppc64le" => "ppc64le",
                "riscv64" => "riscv64",
                "arm64" | "aarch64" | "arm64/v8" => "arm64",
                _ => "arm",
            };
            if !known.contains(&name) {
                known.push(name);
            }
        }
    }
    known
}
