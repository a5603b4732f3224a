//! Drills: known incidents, reproduced in a sandbox, to be found and mended.
//!
//! Nothing is played: a drill breaks a real containerd, a real registry, a real file system, and what the user then sees
//! is what these say. Whatever it makes belongs to a process or a directory of its cluster, so deleting the cluster is its
//! end. A drill lives in one file: what it breaks, what is told, when it counts as mended, and the steps that mend it.
//! Each is also an end-to-end test: `doctor` must name its cause.

mod blank_in_endpoint;
mod certificate;
mod clock_off;
mod cri_disabled;
mod disk_full;
mod http_undeclared;
mod lost_kubeconfig;
mod old_file_system;
mod old_manifest;
mod other_version;
mod out_of_memory;
mod probe_wrong;
mod pull_secret_missing;
mod pull_secret_wrong;
mod registry;
mod stage;
mod untrusted_ca;
mod upgrade_breaks;

pub(crate) use stage::Stage;

/// A known incident.
pub(crate) struct Drill {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// The incident in a line, without its cause.
    pub(crate) title: &'static str,
    /// What somebody who meets it knows: told by `start`, after it is broken.
    pub(crate) story: &'static str,
    /// From a nudge to nearly the answer.
    pub(crate) hints: &'static [&'static str],
    /// The key of the doctor's rule that names the cause.
    pub(crate) cause: &'static str,
    /// Programs that it needs beyond those of a sandbox, and the packages that they come from.
    pub(crate) needs: &'static [(&'static str, &'static str)],
    /// Breaks it.
    pub(crate) start: fn(&Stage) -> anyhow::Result<()>,
    /// What is still wrong; nothing when it is mended.
    pub(crate) check: fn(&Stage) -> anyhow::Result<Vec<String>>,
    /// Mends it, and tells each step.
    pub(crate) solve: fn(&Stage) -> anyhow::Result<()>,
}

/// All drills.
pub(crate) const DRILLS: &[Drill] = &[
    blank_in_endpoint::DRILL,
    old_file_system::DRILL,
    cri_disabled::DRILL,
    other_version::DRILL,
    http_undeclared::DRILL,
    untrusted_ca::DRILL,
    clock_off::DRILL,
    pull_secret_missing::DRILL,
    pull_secret_wrong::DRILL,
    out_of_memory::DRILL,
    probe_wrong::DRILL,
    disk_full::DRILL,
    old_manifest::DRILL,
    lost_kubeconfig::DRILL,
    upgrade_breaks::DRILL,
];

/// The drill of that name.
pub(crate) fn find(name: &str) -> Option<&'static Drill> {
    DRILLS.iter().find(|drill| drill.name == name)
}
