//! A container whose program ends with an error each time; its exit code and last words are all that is told.

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::pods::{Container, Ended};
use crate::read::{Message, Pod, Read};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0658",
    key: "container-crashes",
    title: "container ends with an error soon after its start",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for pod in read.pods.iter().filter(|pod| pod.owner != "Job" && pod.phase != "Succeeded") {
        // Whatever else is told of the pod says more than its exit code.
        if read.about(pod).any(|message| message.is_failure() && !is_symptom(message)) {
            continue;
        }
        for container in &pod.containers {
            let Some(ended) = container.ended.as_ref().filter(|ended| crashes(container, ended)) else { continue };
            let name = if container.name.is_empty() { "the container".to_owned() } else { format!("the container `{}`", container.name) };
            let cause = format!("{name} ends with exit code {}: {}", ended.exit_code, meaning(ended.exit_code));
            let place = subjects::pod(pod, format!("spec.containers[{}]", container.name));
            // A question, whatever is known: every rule that knows a cause stands above it.
            let finding = findings.open(place, cause);
            finding.weigh(-9).needs(&["kubectl logs --previous", "the container's command, arguments, settings"]);
            for message in backs_off(read, pod) {
                finding.message(message);
            }
            finding.quote_word(evidence, pod.item, "Exit Code");
            if let Some(words) = last_words(evidence, pod, ended) {
                finding.note(format!("its last words: {words}"));
            }
            let namespace = subjects::in_namespace(&pod.namespace);
            let of = if container.name.is_empty() { String::new() } else { format!(" -c {}", container.name) };
            finding.fix(
                Fix::manual("read what the program said before it ended; its settings or what it depends on are wrong")
                    .step(format!("kubectl logs --previous {}{namespace}{of}", pod.name))
                    .step(format!("kubectl describe pod {}{namespace}", pod.name)),
            );
        }
    }
}

/// Whether it was started again after an error of its own. Signals of the kubelet have rules of their own.
fn crashes(container: &Container, ended: &Ended) -> bool {
    let again = container.waiting == "CrashLoopBackOff" || container.restarts > 1;
    let own = matches!(ended.reason.as_str(), "Error" | "") && !matches!(ended.exit_code, 0 | 137 | 143);
    again && own && !container.ready
}

fn is_symptom(message: &Message) -> bool {
    is_back_off(message) || message.text.contains("Readiness probe") || message.reason == "Error"
}

fn is_back_off(message: &Message) -> bool {
    message.text.to_lowercase().starts_with("back-off") && message.text.contains("restarting failed")
}

fn backs_off<'a>(read: &'a Read, pod: &'a Pod) -> impl Iterator<Item = &'a Message> {
    read.about(pod).filter(|message| message.is_failure() && is_back_off(message))
}

/// What an exit code says by convention.
fn meaning(code: i64) -> &'static str {
    match code {
        126 => "its command may not be executed",
        127 => "its shell does not find the command",
        132 => "it was ended for an instruction that this processor does not have (SIGILL)",
        134 => "it gave up by itself (SIGABRT)",
        135 => "it was ended for a bad access to memory (SIGBUS)",
        139 => "it was ended for a bad access to memory (SIGSEGV)",
        code if code > 128 && code < 160 => "a signal ended it",
        _ => "the program ends with an error of its own",
    }
}

/// The end of the container's log, or its termination message.
fn last_words<'a>(evidence: &'a Evidence, pod: &Pod, ended: &'a Ended) -> Option<&'a str> {
    let logs = evidence.items().iter().filter(|item| {
        let source = item.origin.source();
        source.contains(" logs") && (pod.name.is_empty() || source.contains(&pod.name))
    });
    let last = logs.filter_map(|item| item.text.lines().rev().find(|line| !line.trim().is_empty()));
    let words = last.chain(ended.message.lines().rev()).map(str::trim).find(|words| !words.is_empty())?;
    // Long lines are data, not words.
    (words.len() < 400).then_some(words)
}
