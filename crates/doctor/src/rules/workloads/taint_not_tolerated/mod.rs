//! Nodes that keep a pod away by taints that somebody set on purpose.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::scheduling::{self, Unfit};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0660",
    key: "taint-not-tolerated",
    title: "every node has a taint that the pod does not tolerate",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static TAINT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"taint(?:\(s\))? \{(?P<key>[^:}\s]+): ?(?P<value>[^}]*)\}").ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let kept = scheduling::failures(evidence.read()).filter_map(|(message, unfit)| {
        let taints = all_tainted(&unfit)?;
        Some((taints, message))
    });
    for (taints, messages) in subjects::grouped(kept) {
        let shown: Vec<String> = taints.iter().map(|taint| format!("`{taint}`")).collect();
        let cause = format!("{} does not tolerate {}, and no other node is left", subjects::pods_of(&messages), shown.join(" or "));
        let place = match subjects::pod_of(messages[0]) {
            crate::finding::Place::Object { kind, namespace, name, .. } => {
                subjects::object(&kind, &namespace, &name, "spec.tolerations")
            }
            place => place,
        };
        let finding = findings.proven(place, cause);
        for message in &messages {
            finding.message(message);
        }
        let key = taints.iter().next().map(|taint| taint.split('=').next().unwrap_or(taint)).unwrap_or_default();
        finding.fix(
            Fix::manual("give the pod a toleration, take the taint off a node, or add a node")
                .step("kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints")
                .step(format!("kubectl taint nodes NODE {key}-")),
        );
    }
}

/// The taints that somebody set, where taints alone keep the pod from all nodes.
fn all_tainted(unfit: &Unfit) -> Option<BTreeSet<String>> {
    let tainted = unfit.with(" taint");
    if unfit.total == 0 || tainted < unfit.total {
        return None;
    }
    let mut taints = BTreeSet::new();
    for (_, reason) in &unfit.reasons {
        let Some(found) = TAINT.as_ref()?.captures(reason) else { continue };
        let (key, value) = (&found["key"], found["value"].trim());
        // Kubernetes' own taints say that a node is not well, or is a control plane.
        if key.starts_with("node.kubernetes.io/") || key.starts_with("node-role.kubernetes.io/") {
            continue;
        }
        taints.insert(if value.is_empty() { key.to_owned() } else { format!("{key}={value}") });
    }
    (!taints.is_empty()).then_some(taints)
}
