//! Checks before a start: everything that stands in the way, each with the next step.
//!
//! Nothing is changed here, and everything is checked before anything is
//! reported, so that a user does not meet the problems one by one.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::cgroup;
use crate::command::find;
use crate::layout::Home;
use crate::node::Runtime;
use crate::{Error, Result};

/// Below this much free space images do not load and the kubelet evicts pods.
const MIN_FREE_BYTES: u64 = 512 * 1024 * 1024;
/// Directories that a node sees differently: a home there would vanish inside it.
const COVERED: [&str; 7] =
    ["/run", "/var/run", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/cni", "/etc/cni", "/etc/containerd"];

/// Something that stands in the way of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub next: String,
}

impl Problem {
    fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.next)
    }
}

/// All problems, one per line.
pub(crate) fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// Checks what nodes with containers need; gives the programs that they run with.
pub fn real(home: &Home) -> Result<Runtime> {
    let mut problems = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        problems.push(Problem::new(
            "nodes with containers need root",
            "run the same command with sudo, or use nodes without containers: `--nodes simulated:1`",
        ));
    }
    let runtime = Runtime::find();
    problems.extend(missing_programs(runtime.as_ref().err()));
    problems.extend(kernel());
    problems.extend(cgroups());
    problems.extend(disk_space(home.path()));
    if let Some(covered) = COVERED.iter().find(|covered| home.path().starts_with(covered)) {
        problems.push(Problem::new(
            format!("nodes have their own {covered}, so clusters cannot lie in {}", home.path().display()),
            "set SHIPMATE_HOME to another directory",
        ));
    }
    match runtime {
        Ok(runtime) if problems.is_empty() => Ok(runtime),
        _ => Err(Error::Preflight(problems)),
    }
}

/// Checks what a cluster with simulated nodes needs.
pub fn simulated(home: &Home) -> Result<()> {
    let problems: Vec<Problem> = disk_space(home.path()).into_iter().collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Preflight(problems)) }
}

/// Whether a port can be listened on, on this machine's loopback address.
pub fn port(port: u16) -> Result<()> {
    let Err(error) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) else { return Ok(()) };
    if error.kind() != std::io::ErrorKind::AddrInUse {
        return Err(Error::System { action: format!("listen on port {port}"), source: error });
    }
    let holder =
        holder_of(port).map_or_else(|| "another program".to_owned(), |(pid, name)| format!("process {pid} ({name})"));
    Err(Error::Preflight(vec![Problem::new(
        format!("port {port}, which the API server of this cluster uses, is taken by {holder}"),
        "end that program; or, if it has to stay, delete the cluster and create it again: a new one takes a free port",
    )]))
}

/// The first port from `first` on that is free and not in `reserved`.
pub fn free_port(first: u16, reserved: &[u16]) -> Result<u16> {
    (first..=first.saturating_add(999))
        .find(|port| !reserved.contains(port) && TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .ok_or_else(|| Error::refused(format!("no port from {first} on is free")))
}

/// Programs by the Debian package that has them.
fn missing_programs(runtime: Option<&Vec<&'static str>>) -> Option<Problem> {
    let mut missing: Vec<(&str, &str)> = Vec::new();
    for name in runtime.into_iter().flatten() {
        let package = if *name == "CNI plugins" { "containernetworking-plugins" } else { name };
        missing.push((name, package));
    }
    for (program, package) in [("nft", "nftables"), ("setsid", "util-linux")] {
        if find(program).is_none() {
            missing.push((program, package));
        }
    }
    let (names, packages): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    (!names.is_empty()).then(|| {
        Problem::new(
            format!("this machine has no {}", names.join(", no ")),
            format!("install with `apt-get install --yes {}`", packages.join(" ")),
        )
    })
}

fn kernel() -> Vec<Problem> {
    let mut problems = Vec::new();
    let filesystems = || fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has_overlay = || filesystems().lines().any(|line| line.trim() == "overlay" || line.ends_with("\toverlay"));
    if !has_overlay() {
        let _ = crate::command::run("modprobe", &["overlay"], "");
    }
    if !has_overlay() {
        problems.push(Problem::new(
            "the kernel has no overlay file system, on which containers run",
            "load it with `modprobe overlay`, or boot a kernel with CONFIG_OVERLAY_FS",
        ));
    }
    for (file, what, option) in [
        ("/proc/self/ns/net", "network namespaces", "CONFIG_NET_NS"),
        ("/proc/self/ns/mnt", "mount namespaces", "CONFIG_NAMESPACES"),
        ("/proc/self/ns/uts", "UTS namespaces", "CONFIG_UTS_NS"),
    ] {
        if !Path::new(file).exists() {
            problems.push(Problem::new(format!("the kernel has no {what}"), format!("boot a kernel with {option}")));
        }
    }
    problems
}

fn cgroups() -> Option<Problem> {
    let missing = cgroup::missing_controllers();
    if cgroup::version() == cgroup::Version::None {
        return Some(Problem::new(
            "no cgroups are mounted at /sys/fs/cgroup",
            "mount them: `mount -t cgroup2 none /sys/fs/cgroup`; inside a container, run it with `--privileged --cgroupns=host`",
        ));
    }
    if let Some(point) = cgroup::read_only_mount() {
        return Some(Problem::new(
            format!("cgroups are read-only at {}", point.display()),
            "mount them writable; inside a container, run it with `--privileged --cgroupns=host`",
        ));
    }
    (!missing.is_empty()).then(|| {
        Problem::new(
            format!("cgroup controllers are not mounted: {}", missing.join(", ")),
            "mount each, such as `mount -t cgroup -o pids none /sys/fs/cgroup/pids`, or boot with cgroups version 2",
        )
    })
}

fn disk_space(home: &Path) -> Option<Problem> {
    let existing = home.ancestors().find(|path| path.exists())?;
    let space = nix::sys::statvfs::statvfs(existing).ok()?;
    // The types of these numbers differ between targets.
    #[expect(clippy::useless_conversion, reason = "fsblkcnt_t and c_ulong are not u64 on every target")]
    let free = u64::from(space.blocks_available()).saturating_mul(u64::from(space.fragment_size()));
    (free < MIN_FREE_BYTES).then(|| {
        Problem::new(
            format!("only {} MiB are free in {}", free / (1024 * 1024), existing.display()),
            format!(
                "free at least {} MiB, or set SHIPMATE_HOME to a directory on another disk",
                MIN_FREE_BYTES / (1024 * 1024)
            ),
        )
    })
}

/// Process that listens on a port: through its socket's inode.
fn holder_of(port: u16) -> Option<(i32, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inode = tables.iter().flat_map(|table| table.lines()).find_map(|line| listener_inode(line, port))?;
    let link = format!("socket:[{inode}]");
    for pid in crate::process::all_pids() {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let holds = descriptors
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == link.as_str()));
        if holds {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            return Some((pid, name.trim_end().to_owned()));
        }
    }
    None
}

/// Inode of a line of `/proc/net/tcp`, if it is a socket that listens on this port.
fn listener_inode(line: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, hex) = fields.get(1)?.rsplit_once(':')?;
    let matches = u16::from_str_radix(hex, 16).ok() == Some(port) && fields.get(3) == Some(&LISTEN);
    matches.then(|| fields.get(9).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let message = port(taken).unwrap_err().to_string();
        assert!(message.contains(&format!("is taken by process {} (", std::process::id())), "{message}");
        assert_ne!(free_port(taken, &[]).unwrap(), taken);
    }

    #[test]
    fn missing_programs_come_with_their_packages() {
        let message = missing_programs(Some(&vec!["runc", "CNI plugins"])).unwrap().to_string();
        assert!(message.starts_with("this machine has no runc, no CNI plugins"), "{message}");
        assert!(message.contains("apt-get install --yes runc containernetworking-plugins"), "{message}");
        assert_eq!(missing_programs(None), None);
    }

    #[test]
    fn a_full_disk_and_a_hidden_home_are_noticed() {
        assert_eq!(disk_space(Path::new("/proc/none")).map(|problem| problem.what.contains("only 0 MiB")), Some(true));
        let message = real(&Home::at("/run/shipmate")).unwrap_err().to_string();
        assert!(message.contains("nodes have their own /run"), "{message}");
    }
}
