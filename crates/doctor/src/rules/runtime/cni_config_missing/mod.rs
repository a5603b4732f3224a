//! No pod network is installed: the runtime finds no CNI configuration.

use super::cni::{self, Directory};
use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0230",
    key: "cni-config-missing",
    title: "no pod network on the node",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for node in cri::nodes(evidence) {
        if cni::missing(evidence, &node).next().is_none() {
            continue;
        }
        let path = cni::directories(evidence, &node).into_iter().next().unwrap_or_default();
        let place = cri::machine(&node, &path);
        let carriers = cni::carriers(evidence, &node);
        let none = cni::none_deployed(evidence);
        let finding = match cni::directory(evidence, &node) {
            Directory::Filled(_) => continue,
            Directory::Empty(item, line) | Directory::Absent(item, line) => {
                let elsewhere = elsewhere(evidence, &node, &path);
                let cause = match &elsewhere {
                    Some((other, _, _)) => format!("there is no CNI configuration in {path}, where the runtime looks; it lies in {other}"),
                    None => format!("there is no CNI configuration in {path}: no pod network is installed on this node"),
                };
                let finding = findings.proven(place, cause);
                finding.quote(item, line);
                if let Some((_, item, line)) = elsewhere {
                    finding.quote(item, line);
                }
                finding
            }
            Directory::Unknown => {
                if let Some(item) = none {
                    let finding = findings.proven(place, "no pod network was ever applied: the cluster runs none of the known ones");
                    finding.quote(item, 1);
                    finding
                } else if cni::missing(evidence, &node).any(|message| message.text.contains("found in")) && carriers.is_empty() {
                    let finding = findings.open(place, format!("the runtime finds no CNI configuration in {path}"));
                    finding.or(&["cni-load-status-stale"]).needs(&cni::NEEDS);
                    finding
                } else {
                    let cause = "the pod network is not initialised: no CNI, a broken configuration, or a state that is out of date";
                    let finding = findings.open(place, cause);
                    finding.or(&["cni-config-invalid", "cni-load-status-stale", "flannel-subnet-env-missing"]).needs(&cni::NEEDS);
                    finding
                }
            }
        };
        cni::explain(finding, evidence, &node);
        for carrier in &carriers {
            finding.quote(carrier.item, carrier.line);
            if !carrier.runs {
                finding.note(format!("the pod network's {} does not run there: {}", carrier.name, carrier.status));
            }
        }
        if let Some(item) = none {
            finding.quote(item, 1).note("the cluster runs none of the known pod networks");
        }
        let fix = Fix::manual("apply a pod network, or see why its pod on the node does not write the file")
            .step("kubectl get pods -A -o wide | grep -E 'flannel|calico|cilium|weave|canal|antrea'")
            .step("kubectl apply -f the network's manifest")
            .step(format!("ls -l {path}"));
        finding.fix(fix);
    }
}

/// Another directory of the evidence that has configuration files.
fn elsewhere(evidence: &Evidence, node: &str, path: &str) -> Option<(String, usize, u32)> {
    let listings = evidence.read().facts.listings.iter().filter(|one| same_node(&one.node, node));
    let mut others = listings.filter(|one| {
        let directory = &one.value.directory;
        directory != path && directory.contains("cni") && !cni::files(&one.value).is_empty()
    });
    others.next().map(|other| (other.value.directory.clone(), other.item, other.line))
}
