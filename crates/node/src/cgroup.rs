//! The cgroups of pods, on version 1, version 2 and mixtures of them.
//!
//! runc makes the directories of containers; this makes those of pods, with their limits, and removes
//! what is left when a pod has gone, because neither containerd nor runc do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::pod::resources::Limits;

const ROOT: &str = "/sys/fs/cgroup";

/// The hierarchies that are mounted: one on version 2, one per controller on version 1.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let dirs = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.map(|entry| entry.path()).collect()
}

/// Whether the machine has version 2 only.
pub(crate) fn unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// Makes a pod's cgroup and sets its limits. What the kernel refuses is left out: a missing controller
/// must not keep a pod from running.
pub(crate) fn make(cgroup: &str, limits: &Limits) -> io::Result<()> {
    let relative = cgroup.trim_start_matches('/');
    if unified() {
        let dir = enable_below(Path::new(ROOT), relative)?;
        set(&dir, "cpu.weight", &limits.cpu_weight().to_string());
        if let Some(quota) = limits.cpu_quota {
            set(&dir, "cpu.max", &format!("{quota} {}", limits.cpu_period));
        }
        if let Some(memory) = limits.memory {
            set(&dir, "memory.max", &memory.to_string());
        }
        return Ok(());
    }
    for (controller, file, value) in [
        ("cpu", "cpu.shares", Some(limits.cpu_shares)),
        ("cpu", "cpu.cfs_period_us", limits.cpu_quota.map(|_| limits.cpu_period)),
        ("cpu", "cpu.cfs_quota_us", limits.cpu_quota),
        ("memory", "memory.limit_in_bytes", limits.memory),
    ] {
        let dir = Path::new(ROOT).join(controller);
        if let Some(value) = value.filter(|_| dir.is_dir()) {
            let dir = dir.join(relative);
            fs::create_dir_all(&dir)?;
            set(&dir, file, &value.to_string());
        }
    }
    Ok(())
}

/// Version 2 hands controllers down one level at a time.
fn enable_below(root: &Path, relative: &str) -> io::Result<PathBuf> {
    let mut dir = root.to_owned();
    for part in relative.split('/') {
        for controller in ["+cpu", "+memory", "+pids", "+cpuset", "+io"] {
            set(&dir, "cgroup.subtree_control", controller);
        }
        dir.push(part);
        fs::create_dir_all(&dir)?;
    }
    Ok(dir)
}

fn set(dir: &Path, file: &str, value: &str) {
    if let Err(err) = fs::write(dir.join(file), value) {
        tracing::debug!(path = %dir.display(), file, value, error = %err, "cgroup setting refused");
    }
}

/// Removes a cgroup with everything below it, in all hierarchies. Processes must have ended.
pub(crate) fn remove(cgroup: &str) {
    for hierarchy in hierarchies() {
        remove_below(&hierarchy.join(cgroup.trim_start_matches('/')));
    }
}

fn remove_below(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_below(&entry.path());
    }
    if let Err(err) = fs::remove_dir(dir) {
        tracing::debug!(path = %dir.display(), error = %err, "cgroup not removed");
    }
}

/// The uids of pods that have a cgroup below `parent`, with the cgroup.
pub(crate) fn pods_below(parent: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        for class in ["", "/burstable", "/besteffort"] {
            let cgroup = format!("{parent}{class}");
            let Ok(entries) = fs::read_dir(hierarchy.join(cgroup.trim_start_matches('/'))) else { continue };
            for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
                if let Some(uid) = name.strip_prefix("pod") {
                    found.push((uid.to_owned(), format!("{cgroup}/{name}")));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found
}
