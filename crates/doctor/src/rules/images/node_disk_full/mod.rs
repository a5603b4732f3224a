//! No space or no inode is left where the runtime keeps images and containers.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::facts::{Disk, Fact};
use crate::read::log::Level;
use crate::read::{Message, Speaker, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0154",
    key: "node-disk-full",
    title: "node's disk is full",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut nodes: std::collections::BTreeMap<String, Vec<&Message>> = std::collections::BTreeMap::new();
    for message in read.failing(&["no space left on device"]).filter(|message| is_disk(message)) {
        let pull = read.pull_of(message.number);
        let node = pull.map_or(message.node.as_str(), |pull| pull.node.as_str());
        nodes.entry(node.to_owned()).or_default().push(message);
    }
    for (node, messages) in &nodes {
        let path = messages.iter().find_map(|message| path(&message.text)).unwrap_or("/var/lib/containerd");
        let disks: Vec<&Fact<Disk>> =
            read.facts.disks.iter().filter(|disk| same_node(&disk.node, node) && holds(&disk.value.target, path)).collect();
        let longest = disks.iter().map(|disk| disk.value.target.len()).max().unwrap_or(0);
        let full = disks.iter().find(|disk| disk.value.target.len() == longest && disk.value.percent >= 99);
        let (what, cause) = match full {
            Some(disk) if disk.value.inodes => (
                format!("file system {} (inodes)", disk.value.target),
                format!("no inode is left on `{}`, though there may be space", disk.value.target),
            ),
            Some(disk) => {
                (format!("file system {}", disk.value.target), format!("no space is left on `{}`", disk.value.target))
            }
            None => (format!("file system of {path}"), format!("no space or no inode is left for `{path}`")),
        };
        let finding = findings.proven(Place::Machine { node: node.clone(), what }, cause);
        for message in messages {
            finding.message(message);
        }
        if let Some(disk) = full {
            finding.quote(disk.item, disk.line);
        }
        finding.fix(
            Fix::manual("free space or inodes, or enlarge the file system")
                .step(format!("df -h {path}; df -i {path}"))
                .step("crictl rmi --prune"),
        );
    }
}

/// Whether the words are about a node's disk: not about watches, cgroups or a container's own files.
fn is_disk(message: &Message) -> bool {
    const OTHER: [&str; 5] = ["inotify", "fsnotify", "/sys/fs/cgroup", "create watcher", "/dev/shm"];
    let program = matches!(
        message.speaker,
        Speaker::Event | Speaker::Status | Speaker::Kubelet | Speaker::Containerd | Speaker::Crictl | Speaker::Ctr
            | Speaker::Nerdctl | Speaker::Kubeadm
    );
    let told = path(&message.text).is_some() || message.text.contains("pull");
    message.level >= Level::Warning && program && told && !OTHER.iter().any(|words| message.text.contains(words))
}

/// The directory of a runtime that the words name.
fn path(text: &str) -> Option<&str> {
    const ROOTS: [&str; 8] = [
        "/var/lib/containerd", "/var/lib/docker", "/var/lib/containers", "/var/lib/kubelet", "/var/lib/rancher",
        "/run/containerd", "/var/log", "/var/lib/etcd",
    ];
    let root = ROOTS.iter().find(|root| text.contains(*root)).copied();
    root.or_else(|| {
        // A root of its own: what stands before the runtime's well-known directories.
        let at = text.find("/io.containerd.").or_else(|| text.find("/tmpmounts/"))?;
        let start = text[..at].rfind([' ', '"'])? + 1;
        text.get(start..at).filter(|path| path.starts_with('/'))
    })
}

fn holds(target: &str, path: &str) -> bool {
    target == "/" || path == target || path.starts_with(&format!("{target}/"))
}
