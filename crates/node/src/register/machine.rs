//! What the machine is and has. Read once, at start.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use api::Quantity;
use nix::sys::statvfs::statvfs;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::env::fields::Allocatable;
use crate::pod::admit::Room;

/// What Kubernetes keeps free of memory by default, and takes off what pods may use.
const MEMORY_RESERVE: i64 = 100 << 20;
/// Kubernetes' own limit of pods on a node.
const PODS: i64 = 110;

/// The machine as its Node object shows it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// In Kubernetes' notation, by resource.
    pub capacity: BTreeMap<String, String>,
    pub allocatable: BTreeMap<String, String>,
    pub kernel: String,
    pub os_image: String,
    pub architecture: &'static str,
    pub machine_id: String,
    pub system_uuid: String,
    pub boot_id: String,
}

impl Machine {
    /// Reads the machine; the configuration may say that it has something else.
    pub(crate) fn read(config: &Config) -> Self {
        let mut capacity: BTreeMap<String, String> = [
            ("cpu", n_cpus().to_string()),
            ("memory", format!("{}Ki", meminfo("MemTotal"))),
            ("ephemeral-storage", format!("{}Ki", disk_bytes(&config.state_dir) >> 10)),
            ("hugepages-1Gi", "0".to_owned()),
            ("hugepages-2Mi", "0".to_owned()),
            ("pods", PODS.to_string()),
        ]
        .into_iter()
        .map(|(resource, amount)| (resource.to_owned(), amount))
        .collect();
        capacity.extend(config.capacity.clone());
        let allocatable = allocatable(&capacity);
        let machine_id = id_for(&text("/etc/machine-id"), &config.node_name);
        Self {
            capacity,
            allocatable,
            kernel: text("/proc/sys/kernel/osrelease"),
            os_image: os_image(),
            architecture: architecture(),
            system_uuid: uuid_shaped(&machine_id),
            machine_id,
            boot_id: text("/proc/sys/kernel/random/boot_id"),
        }
    }

    /// The memory that OOM scores are relative to.
    pub(crate) fn memory_bytes(&self) -> i64 {
        amount(&self.capacity, "memory").as_units()
    }

    /// What the node has for pods.
    pub(crate) fn room(&self) -> Room {
        Room { allocatable: self.allocatable(), n_pods: amount(&self.allocatable, "pods").as_units() }
    }

    /// What a container without limits may use.
    pub(crate) fn allocatable(&self) -> Allocatable {
        Allocatable {
            cpu: amount(&self.allocatable, "cpu"),
            memory: amount(&self.allocatable, "memory"),
            ephemeral_storage: amount(&self.allocatable, "ephemeral-storage"),
        }
    }
}

fn amount(list: &BTreeMap<String, String>, resource: &str) -> Quantity {
    list.get(resource).and_then(|text| Quantity::parse(text).ok()).unwrap_or_default()
}

/// Capacity less what Kubernetes holds back.
fn allocatable(capacity: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut allocatable = capacity.clone();
    let memory = amount(capacity, "memory").as_units();
    if memory > MEMORY_RESERVE {
        allocatable.insert("memory".to_owned(), format!("{}Ki", (memory - MEMORY_RESERVE) >> 10));
    }
    let disk = amount(capacity, "ephemeral-storage").as_units();
    allocatable.insert("ephemeral-storage".to_owned(), (disk / 10 * 9).to_string());
    allocatable
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn n_cpus() -> usize {
    let online = text("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count();
    if online > 0 { online } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

/// A value of /proc/meminfo, in KiB.
pub(super) fn meminfo(name: &str) -> u64 {
    let all = text("/proc/meminfo");
    let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The size of the file system that a path lies on.
fn disk_bytes(path: &Path) -> u64 {
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    statvfs(existing).map(|stat| stat.blocks() * stat.fragment_size()).unwrap_or(0)
}

fn os_image() -> String {
    let release = text("/etc/os-release");
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Nodes on one machine must not look like one node.
fn id_for(machine: &str, node: &str) -> String {
    let digest = Sha256::new().chain_update(machine).chain_update([0]).chain_update(node).finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn uuid_shaped(id: &str) -> String {
    let cuts = [0..8, 8..12, 12..16, 16..20, 20..32];
    cuts.into_iter().filter_map(|cut| id.get(cut)).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back() {
        let capacity = [("memory", "1048576Ki"), ("ephemeral-storage", "1000Ki"), ("cpu", "2")];
        let capacity = capacity.map(|(resource, amount)| (resource.to_owned(), amount.to_owned())).into();
        let allocatable = allocatable(&capacity);
        assert_eq!(allocatable["memory"], "946176Ki");
        assert_eq!(allocatable["ephemeral-storage"], "921600");
        assert_eq!(allocatable["cpu"], "2");
    }

    #[test]
    fn the_configuration_overrides_the_machine() {
        let mut config = crate::testing::config();
        config.capacity.insert("cpu".to_owned(), "64".to_owned());
        let machine = Machine::read(&config);
        assert_eq!(machine.capacity["cpu"], "64");
        assert!(machine.memory_bytes() > 0);
        assert_eq!(machine.system_uuid.len(), 36);
    }
}
