//! A HorizontalPodAutoscaler that can't compute a replica count.

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0657",
    key: "autoscaler-without-metrics",
    title: "autoscaler gets no metrics",
    severity: Severity::Warning,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for scaler in evidence.read().objects.iter().filter(|found| found.kind() == "HorizontalPodAutoscaler") {
        let conditions = scaler.object["status"]["conditions"].as_array();
        let stuck = conditions.into_iter().flatten().find(|one| one["type"] == "ScalingActive" && one["status"] == "False");
        // A target of zero replicas is switched off on purpose.
        let Some(stuck) = stuck.filter(|one| one["reason"] != "ScalingDisabled") else { continue };
        let words = stuck["message"].as_str().unwrap_or_default();
        let (namespace, name) = (scaler.namespace(), scaler.name());
        let (why, fix) = if words.contains("missing request for") {
            ("its pods request nothing that use could be measured against", "add `resources.requests` to the containers of its target")
        } else if words.contains("metrics.k8s.io") || words.contains("unable to fetch metrics") {
            ("the cluster serves no metrics", "install the metrics server, or repair it")
        } else {
            ("it gets no metrics", "look at its conditions")
        };
        let finding = findings.proven(subjects::object("HorizontalPodAutoscaler", namespace, name, "spec.metrics"), format!("the autoscaler `{name}` does nothing: {why}"));
        finding.weigh(-1).note(words);
        finding.fix(Fix::manual(fix).step(format!("kubectl describe hpa -n {namespace} {name}")));
    }
}
