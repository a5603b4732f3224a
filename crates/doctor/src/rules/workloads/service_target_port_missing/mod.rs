//! A Service whose named targetPort no selected pod has.

use super::cluster::{Cluster, labels, selects};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0654",
    key: "service-target-port-missing",
    title: "service sends to a port that no container has",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let cluster = Cluster::of(evidence.read());
    for service in cluster.all("Service") {
        let selector = labels(&service.object["spec"]["selector"]);
        let (namespace, name) = (service.namespace(), service.name());
        let Some(pod) = cluster.matching(namespace, &selector).find(|pod| !selector.is_empty() && selects(&selector, pod)) else {
            continue;
        };
        let containers = pod.object["spec"]["containers"].as_array();
        let ports: Vec<&serde_json::Value> =
            containers.into_iter().flatten().filter_map(|one| one["ports"].as_array()).flatten().collect();
        for port in service.object["spec"]["ports"].as_array().into_iter().flatten() {
            let target = &port["targetPort"];
            let (known, exact) = match target.as_str() {
                Some(wanted) => (ports.iter().any(|one| one["name"] == wanted), true),
                // Containers may listen on ports that they do not declare.
                None => (ports.is_empty() || target.is_null() || ports.iter().any(|one| one["containerPort"] == *target), false),
            };
            if known {
                continue;
            }
            let target = target.as_str().map_or_else(|| target.to_string(), str::to_owned);
            let cause = format!("the service `{name}` sends to port `{target}`, which the containers of `{}` do not declare", pod.name());
            let place = subjects::object("Service", namespace, name, "spec.ports[*].targetPort");
            let finding = if exact { findings.proven(place, cause) } else { findings.likely(place, cause) };
            finding.weigh(-1);
            if !exact {
                finding.severity(Severity::Note);
            }
            let declared: Vec<String> = ports
                .iter()
                .map(|one| format!("{} {}", one["containerPort"], one["name"].as_str().unwrap_or_default()).trim().to_owned())
                .collect();
            finding.note(format!("declared are: {}", if declared.is_empty() { "none".to_owned() } else { declared.join(", ") }));
            finding.fix(Fix::manual("correct `targetPort`, or name the port in the container"));
        }
    }
}
