//! The node's clock is wrong, so that valid certificates look expired or not yet valid.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::network::{Clock, clock};
use crate::read::pulls::{explain, grouped};
use crate::read::reference::is_public;
use crate::read::{Answer, Pull, Speaker, times};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0132",
    key: "node-clock-skew",
    title: "node's clock is wrong",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let dated = read.pulls.iter().filter(|pull| {
        pull.answer == Answer::Certificate && pull.says("has expired or is not yet valid")
    });
    for (node, pulls) in grouped(dated, |pull| pull.node.clone()) {
        let Some(first) = pulls.first() else { continue };
        let now = first.text.split_once("current time ").and_then(|(_, rest)| times::first(rest));
        let early = first.says(" is before ");
        let verdict = clock(evidence, first, now);
        let suspect = early || is_public(&first.asked);
        if verdict != Clock::Wrong && (!suspect || verdict == Clock::Right && !early) {
            continue;
        }
        let place = Place::Machine { node: node.clone(), what: "clock".to_owned() };
        let cause = cause(first, &node, early);
        let finding = match verdict {
            Clock::Wrong => findings.proven(place, cause),
            _ => findings.likely(place, cause),
        };
        explain(finding, &read.messages, &pulls);
        finding.fix(repair());
    }
    // The API server's certificate, seen by a node.
    for message in read.failing(&["x509: certificate has expired or is not yet valid", " is before "]) {
        let ours = read.pull_of(message.number).is_some();
        if !ours && matches!(message.speaker, Speaker::Kubelet | Speaker::Kubeadm) {
            let place = Place::Machine { node: message.node.clone(), what: "clock".to_owned() };
            let cause = "the node's clock is behind: a certificate is not yet valid for it";
            findings.likely(place, cause).message(message).fix(repair());
        }
    }
}

fn cause(pull: &Pull, node: &str, early: bool) -> String {
    let time = pull.text.split_once("current time ").and_then(|(_, rest)| rest.split_whitespace().next());
    let whose = if node.is_empty() { "the node's clock".to_owned() } else { format!("the clock of node `{node}`") };
    let way = if early { "behind" } else { "wrong" };
    match time {
        Some(time) => format!("{whose} is {way}: it says {time}, and the certificate of `{}` does not fit", pull.asked),
        None => format!("{whose} is {way}: the certificate of `{}` does not fit its time", pull.asked),
    }
}

fn repair() -> Fix {
    Fix::manual("set the clock and keep it synchronised")
        .step("timedatectl set-ntp true")
        .step("chronyc makestep")
        .step("chronyc tracking")
}
