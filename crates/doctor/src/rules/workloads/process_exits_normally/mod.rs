//! A container's main process ends with code 0 although it should go on; or events alone tell that it ends.

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::existing::PodRow;
use crate::read::{Message, Read};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0603",
    key: "process-exits-normally",
    title: "container ends without an error and is started again",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut told = false;
    for pod in read.pods.iter().filter(|pod| pod.phase != "Succeeded" && pod.owner != "Job") {
        for container in &pod.containers {
            let normal = container.ended.as_ref().is_some_and(|ended| ended.reason == "Completed" && ended.exit_code == 0);
            let again = container.waiting == "CrashLoopBackOff" || container.restarts > 0;
            let loops = |row: &PodRow| row.status == "CrashLoopBackOff" || row.restarts > 0;
            let again = again || pod.name.is_empty() && read.pod_rows.iter().any(loops);
            if !normal || !again || container.ready {
                continue;
            }
            told = true;
            let cause = format!("the main process of the container `{}` ends with code 0 right after its start", container.name);
            let finding = findings.proven(subjects::pod(pod, format!("spec.containers[{}].command", container.name)), cause);
            for message in read.about(pod).filter(|message| message.is_failure() && is_back_off(message)) {
                finding.message(message);
            }
            finding.quote_word(evidence, pod.item, "Completed");
            remedies(finding);
        }
    }
    for row in read.pod_rows.iter().filter(|row| row.status == "Completed" && row.may_restart()) {
        let namespace = row.namespace.as_deref().unwrap_or_default();
        if told || read.pods.iter().any(|pod| pod.name == row.name) {
            continue;
        }
        told = true;
        let name = subjects::named(namespace, &row.name, "the pod");
        let cause = format!("the containers of {name} end normally and were started again {} times", row.restarts);
        let finding = findings.likely(subjects::object("Pod", namespace, &row.name, ""), cause);
        finding.quote(row.item, row.line);
        for message in read.failures().filter(|message| is_back_off(message)) {
            finding.message(message);
        }
        remedies(finding);
    }
    if !told {
        ask(read, findings);
    }
}

/// Events that tell of restarts, and nothing that tells why.
fn ask(read: &Read, findings: &mut Findings<'_>) {
    let ends = |pod: &crate::read::Pod| pod.containers.iter().any(|container| container.ended.is_some());
    for message in read.failures().filter(|message| is_back_off(message)) {
        let known = read.pods.iter().any(|pod| ends(pod) && (pod.name == message.pod.1 || message.pod.1.is_empty()));
        if known {
            continue;
        }
        let container = message.text.split_once("container ").and_then(|(_, rest)| rest.split_whitespace().next());
        let container = container.map_or("the container".to_owned(), |name| format!("the container `{name}`"));
        let cause = format!("{container} ends soon after each start, and these lines do not say why");
        let finding = findings.open(subjects::pod_of(message), cause);
        finding.message(message).weigh(-1);
        finding.or(&["oom-killed", "entrypoint-not-found", "liveness-probe-failing"]).needs(&[
            "kubectl describe pod: Last State (reason, exit code)",
            "kubectl logs --previous",
        ]);
        let namespace = subjects::in_namespace(&message.pod.0);
        finding.fix(
            Fix::manual("look at how it ended, and at its log")
                .step(format!("kubectl describe pod {}{namespace}", message.pod.1))
                .step(format!("kubectl logs --previous {}{namespace}", message.pod.1)),
        );
    }
}

fn is_back_off(message: &Message) -> bool {
    message.text.starts_with("Back-off restarting failed") || message.text.starts_with("back-off ") && message.text.contains("restarting failed")
}

fn remedies(finding: &mut crate::finding::Finding) {
    finding.fix(
        Fix::manual("run the program in the foreground, or make it a Job if it is meant to end")
            .step("a shell without a terminal ends at once; a service that makes itself a daemon does too"),
    );
}
