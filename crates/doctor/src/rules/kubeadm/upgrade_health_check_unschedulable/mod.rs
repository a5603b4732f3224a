//! The health-check job of `kubeadm upgrade` finds no node: cordoned or tainted.

use super::output;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0312",
    key: "upgrade-health-check-unschedulable",
    title: "health check of the upgrade finds no node",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for (_, _, message) in output::failed(evidence).filter(|(name, _, _)| name.starts_with("CreateJob")) {
        // A pod that can't be started is another matter.
        let pulls = read.failures().any(|other| other.text.contains("upgrade-health-check") && other.text.contains("ImagePull"));
        if pulls {
            continue;
        }
        let cordoned = read.nodes.iter().find(|node| !node.schedulable);
        let waiting = evidence.items().iter().enumerate().find_map(|(number, item)| {
            let tells = |line: &str| {
                (line.contains("upgrade-health-check") && line.contains("Pending"))
                    || (line.contains("nodes are available") && line.contains("0/"))
            };
            let line = item.text.lines().position(tells).filter(|_| item.kind != ItemKind::Unavailable)?;
            Some((number, u32::try_from(line + 1).unwrap_or(1)))
        });
        let job = message.quoted_after("Job").unwrap_or("upgrade-health-check");
        let finding = if let Some(node) = cordoned {
            let place = Place::Object {
                kind: "Node".to_owned(),
                namespace: String::new(),
                name: node.name.clone(),
                field: "spec.unschedulable".to_owned(),
            };
            let cause = format!("node {} is cordoned, so the pod of the job {job} finds no place", node.name);
            findings.proven(place, cause).quote(node.item, node.line).fix(
                Fix::manual("let pods onto the node again").step(format!("kubectl uncordon {}", node.name)),
            )
        } else {
            let place = output::machine(message, format!("Job kube-system/{job}"));
            let cause = format!("the pod of the job {job} did not run within 15 s, most likely because no node takes it");
            let finding =
                if waiting.is_some() { findings.likely(place, cause) } else { findings.open(place, cause) };
            finding
                .needs(&[
                    "pod of the job: kubectl -n kube-system describe pod upgrade-health-check",
                    "kubectl get nodes (SchedulingDisabled) and taints",
                ])
                .fix(
                    Fix::manual("see why the pod waits")
                        .step("kubectl -n kube-system describe pods -l job-name")
                        .step("kubectl get nodes; kubectl describe nodes | grep -A3 Taints"),
                )
        };
        if let Some((item, line)) = waiting {
            finding.quote(item, line);
        }
        finding.message(message);
    }
}
