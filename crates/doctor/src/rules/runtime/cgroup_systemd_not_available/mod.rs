//! A runtime's shim wants cgroups of systemd on a host that has none.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::{Message, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0222",
    key: "cgroup-systemd-not-available",
    title: "systemd cgroups asked for where there are none",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for message in evidence.read().failures().filter(|message| tells(message) || is_plain(&message.text)) {
        let node = message.node.as_str();
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let place = cri::machine(node, "cgroup setup");
        let mounts = mounts(evidence, node);
        let finding = if is_plain(&message.text) {
            findings.proven(place, "the runtime is told to make cgroups by systemd, and systemd does not run on this host")
        } else if let Some(line) = mounts {
            let finding = findings.proven(place, "the shim wants the cgroup controller of systemd, and this host has not mounted it");
            finding.quote(line.0, line.1);
            finding
        } else {
            let cause = "the shim looks for the cgroup controller of systemd and does not find it on this host";
            let finding = findings.open(place, cause);
            finding.or(&["cgroup-driver-mismatch"]).needs(&[
                "mount | grep cgroup",
                "kubelet cgroupDriver (/var/lib/kubelet/config.yaml)",
                "which runtime class or shim the pod uses, and its version",
            ]);
            finding
        };
        for other in evidence.read().failures().filter(|other| tells(other) || is_plain(&other.text)) {
            if same_node(&other.node, node) {
                finding.message(other);
            }
        }
        let fix = Fix::manual("use cgroupfs for the kubelet and this runtime, or a host that systemd runs")
            .step("mount | grep cgroup; ps -p 1 -o comm=")
            .step("kubelet: cgroupDriver: cgroupfs; containerd: SystemdCgroup = false")
            .step("systemctl restart containerd kubelet   # or the host's own way to restart them");
        finding.fix(fix);
    }
}

fn tells(message: &Message) -> bool {
    message.text.contains("\"systemd\" in controller set") || message.text.contains("systemd in controller set")
}

fn is_plain(text: &str) -> bool {
    text.contains("systemd not running on this host") || text.contains("cannot open sd-bus")
}

/// A list of cgroup mounts without one of systemd: its item and line.
fn mounts(evidence: &Evidence, node: &str) -> Option<(usize, u32)> {
    let mut first = None;
    for mount in evidence.read().facts.mounts.iter().filter(|mount| same_node(&mount.node, node)) {
        if mount.value.kind == "cgroup2" && mount.value.target == "/sys/fs/cgroup" {
            return Some((mount.item, mount.line));
        }
        if mount.value.kind != "cgroup" {
            continue;
        }
        if mount.value.options.contains("name=systemd") {
            return None;
        }
        first.get_or_insert((mount.item, mount.line));
    }
    first
}
