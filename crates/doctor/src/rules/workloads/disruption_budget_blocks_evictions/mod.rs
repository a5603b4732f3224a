//! A PodDisruptionBudget that allows no eviction even when all its pods are well.

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0655",
    key: "disruption-budget-blocks-evictions",
    title: "disruption budget never allows an eviction",
    severity: Severity::Warning,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for budget in evidence.read().objects.iter().filter(|found| found.kind() == "PodDisruptionBudget") {
        let (spec, status) = (&budget.object["spec"], &budget.object["status"]);
        let count = |name: &str| status[name].as_i64().unwrap_or_default();
        let expected = count("expectedPods");
        let all = expected > 0 && count("desiredHealthy") >= expected;
        if !all || count("disruptionsAllowed") > 0 {
            continue;
        }
        let rule = match (&spec["minAvailable"], &spec["maxUnavailable"]) {
            (serde_json::Value::Null, most) => format!("maxUnavailable: {most}"),
            (least, _) => format!("minAvailable: {least}"),
        };
        let (namespace, name) = (budget.namespace(), budget.name());
        let cause = format!("the budget `{name}` ({rule}) wants all {expected} pods at any time, so none can be evicted");
        let finding = findings.proven(subjects::object("PodDisruptionBudget", namespace, name, "spec"), cause);
        finding.weigh(-2);
        finding.fix(
            Fix::manual("run more replicas than `minAvailable`, or use `maxUnavailable: 1`")
                .step(format!("kubectl get pdb -n {namespace} {name}")),
        );
    }
}
