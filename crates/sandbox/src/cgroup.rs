//! The cgroup of a node's pods, in every hierarchy that the machine has.
//!
//! Version 1, version 2 and both together ("hybrid") are told apart by what is
//! mounted. Runtimes make cgroups and leave their parents behind; this module
//! finds the processes in them and removes them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::mounts;
use crate::process::{ProcessId, wait_until};
use crate::{Error, Result};

/// How long the kernel may take to let go of a cgroup whose processes have ended.
const RELEASE: Duration = Duration::from_secs(5);

/// Which version of cgroups governs the controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller.
    V1,
    /// One hierarchy.
    V2,
    /// None is mounted where runtimes look.
    None,
}

/// Detects the version.
#[must_use]
pub fn version() -> Version {
    let all = mounts::all();
    let has =
        |wanted: &str| all.iter().any(|mount| mount.fs_type == wanted && mount.point.starts_with("/sys/fs/cgroup"));
    match (has("cgroup"), has("cgroup2")) {
        (true, _) => Version::V1,
        (false, true) => Version::V2,
        (false, false) => Version::None,
    }
}

/// Controllers of version 1 that runtimes need and that are not mounted.
#[must_use]
pub fn missing_controllers() -> Vec<&'static str> {
    let needed = ["cpu", "cpuset", "devices", "freezer", "memory", "pids"];
    match version() {
        Version::V2 => Vec::new(),
        Version::None => needed.to_vec(),
        Version::V1 => {
            let all = mounts::all();
            let mounted: BTreeSet<&str> = all
                .iter()
                .filter(|mount| mount.fs_type == "cgroup")
                .flat_map(|mount| mount.super_options.split(','))
                .collect();
            needed.into_iter().filter(|name| !mounted.contains(name)).collect()
        }
    }
}

/// A hierarchy in which no cgroup can be made.
pub(crate) fn read_only_mount() -> Option<PathBuf> {
    let read_only = |point: &PathBuf| statvfs(point).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY));
    mounts::all()
        .into_iter()
        .filter(|mount| matches!(mount.fs_type.as_str(), "cgroup" | "cgroup2"))
        .map(|mount| mount.point)
        .find(read_only)
}

/// Where version 2 is mounted beside version 1.
pub(crate) fn hybrid_mount() -> Option<PathBuf> {
    if version() != Version::V1 {
        return None;
    }
    mounts::all()
        .into_iter()
        .find(|mount| mount.fs_type == "cgroup2" && mount.point.starts_with("/sys/fs/cgroup"))
        .map(|mount| mount.point)
}

/// Processes in a cgroup and below it, in any hierarchy.
pub(crate) fn processes(cgroup: &str) -> Vec<ProcessId> {
    let mut pids = BTreeSet::new();
    for root in directories(cgroup) {
        for dir in tree(&root) {
            let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        }
    }
    pids.into_iter().filter_map(ProcessId::of).collect()
}

/// Removes a cgroup and everything below it. Its processes must have ended.
pub(crate) fn remove(cgroup: &str) -> Result<()> {
    for root in directories(cgroup) {
        for dir in tree(&root).iter().rev() {
            let mut last = None;
            let removed = wait_until(RELEASE, || match fs::remove_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    last = Some(error);
                    false
                }
                _ => true,
            });
            if let (false, Some(error)) = (removed, last) {
                return Err(Error::file("remove cgroup", dir)(error));
            }
        }
    }
    Ok(())
}

/// The directories of a cgroup that exist, one per hierarchy.
fn directories(cgroup: &str) -> Vec<PathBuf> {
    mounts::all()
        .into_iter()
        .filter(|mount| matches!(mount.fs_type.as_str(), "cgroup" | "cgroup2"))
        .map(|mount| mount.point.join(cgroup.trim_start_matches('/')))
        .filter(|dir| dir.is_dir())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// A directory and all below it, parents first.
fn tree(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(dir) = found.get(next).cloned() {
        next += 1;
        let Ok(listing) = fs::read_dir(dir) else { continue };
        found.extend(listing.filter_map(|item| {
            let item = item.ok()?;
            item.file_type().ok()?.is_dir().then(|| item.path())
        }));
    }
    found
}
