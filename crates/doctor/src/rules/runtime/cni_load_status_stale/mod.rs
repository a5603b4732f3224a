//! The pod network is there, but containerd still reports that it failed to load it earlier.

use super::cni::{self, Directory};
use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0232",
    key: "cni-load-status-stale",
    title: "containerd that still reports an earlier CNI failure",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for node in cri::nodes(evidence) {
        if cni::missing(evidence, &node).next().is_none() {
            continue;
        }
        let Directory::Filled(listing) = cni::directory(evidence, &node) else { continue };
        let broken = evidence.read().failing(&["failed to load cni"]).any(|message| {
            same_node(&message.node, &node) && !message.text.contains("no network config found")
        });
        if broken {
            continue;
        }
        let carriers = cni::carriers(evidence, &node);
        let stopped = !carriers.is_empty() && !carriers.iter().any(|carrier| carrier.runs);
        let runs = carriers.iter().find(|carrier| carrier.runs);
        let start = evidence.read().facts.unit_of(&node, "containerd").find(|unit| unit.value.since.is_some());
        let early = evidence.read().failing(&["failed to load cni", "no network config found"]);
        let early = early.filter(|message| same_node(&message.node, &node)).count() > 0;
        let names = cni::files(&listing.value).join(", ");
        let cause = format!("{}/{names} is there, and the runtime still reports that it found no pod network", listing.value.directory);
        let place = cri::machine(&node, "containerd CNI state");
        let finding = if stopped {
            let finding = findings.open(place, cause);
            finding.or(&["cni-config-invalid", "cni-config-missing"]).needs(&cni::NEEDS);
            finding
        } else if (runs.is_some() || start.is_some()) && early {
            findings.proven(place, cause)
        } else {
            findings.likely(place, cause)
        };
        finding.quote(listing.item, listing.line);
        for carrier in &carriers {
            finding.quote(carrier.item, carrier.line);
        }
        if let Some(start) = start {
            finding.quote(start.item, start.line);
        }
        cni::explain(finding, evidence, &node);
        finding.fix(Fix::manual("restart containerd; running containers go on").step("systemctl restart containerd"));
    }
}
