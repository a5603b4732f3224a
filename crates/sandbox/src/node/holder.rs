//! Makes the namespaces of a node, and the process that keeps them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use super::files::{PRIVATE_DIRS, PRIVATE_FILES};
use super::{HOLDER, Node};
use crate::layout::make_dir;
use crate::namespaces::NodeNamespaces;
use crate::network::netns::{self, on_thread};
use crate::process::{Daemon, ProcessId};
use crate::{Error, Result, mounts, programs};

const NONE: Option<&Path> = None;

pub(super) fn ensure(node: &Node) -> Result<NodeNamespaces> {
    node.dir().check_socket_length()?;
    if let Some(namespaces) = node.namespaces()? {
        if ProcessId::running(&node.dir().pidfile(HOLDER)).is_none() {
            // The holder alone was killed: a new one joins those who are left.
            hold(node, |command| namespaces.spawn(command))?;
        }
        return Ok(namespaces);
    }
    node.write_files()?;
    node.machine.make_mount_points(&PRIVATE_DIRS)?;
    let path = node.netns();
    let network = fs::File::open(&path).map_err(Error::file("open", &path))?;
    let holder = on_thread(|| {
        setns(&network, CloneFlags::CLONE_NEWNET).map_err(Error::system("enter a network namespace"))?;
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)
            .map_err(Error::system("make the namespaces of a node"))?;
        nix::unistd::sethostname(node.config().name.as_str()).map_err(Error::system("set the host name"))?;
        arrange_mounts(node)?;
        hold(node, |mut command| command.spawn())
    })?;
    NodeNamespaces::of(&holder)
}

/// Starts the holder through `spawn`, in the namespaces that it shall hold.
fn hold(node: &Node, spawn: impl FnOnce(Command) -> std::io::Result<std::process::Child>) -> Result<ProcessId> {
    let program = node.dir().path().join("bin/shipmate-holder");
    if !fs::read(&program).is_ok_and(|bytes| bytes == *programs::PAUSE) {
        make_dir(&node.dir().path().join("bin"))?;
        install(&program)?;
    }
    let command = node.marked(Command::new(&program));
    let (log, pidfile) = (node.dir().log(HOLDER), node.dir().pidfile(HOLDER));
    Daemon { command, log: &log, pidfile: &pidfile }.start(spawn)
}

/// Writes the holder's program by a process of its own. Other threads start
/// processes meanwhile, which hold what this process has open for writing
/// until they are another program; until then nothing could run the file
/// ("text file busy").
fn install(program: &Path) -> Result<()> {
    let new = program.with_extension("new");
    let write = || -> io::Result<()> {
        let mut writer = Command::new("sh")
            .args(["-c", r#"cat >"$0" && chmod 0755 "$0""#])
            .arg(&new)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        // What it says of a failure is worth more than a broken pipe.
        let sent = writer.stdin.take().map_or(Ok(()), |mut input| input.write_all(&programs::PAUSE));
        let output = writer.wait_with_output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        sent?;
        fs::rename(&new, program)
    };
    write().map_err(Error::file("write", program))
}

/// Gives the new mount namespace, which this thread is in, its own view.
fn arrange_mounts(node: &Node) -> Result<()> {
    // Mounts of the machine come in, ours do not go out.
    change("/", MsFlags::MS_SLAVE | MsFlags::MS_REC)?;
    let points = mounts::points();
    // Copies of other nodes' namespaces would keep these alive.
    for point in points.iter().rev().filter(|point| point.starts_with(netns::DIR)) {
        detach(point)?;
    }
    // Before /run is covered: links of the machine may lead into it.
    for file in PRIVATE_FILES {
        if let Some(place) = node.place_of(file)? {
            bind(&node.dir().private(file), &place)?;
        }
    }
    for dir in PRIVATE_DIRS {
        bind(&node.dir().private(dir), Path::new(dir))?;
    }
    bind(&node.dir().sys_run(), Path::new("/run"))?;
    if let Some(unified) = crate::cgroup::hybrid_mount() {
        // crun refuses a machine that has both versions; runc would use both.
        detach(&unified)?;
    }
    // Containers may ask to see mounts that are made later
    // (mountPropagation: HostToContainer), which only shared mounts can offer.
    change("/", MsFlags::MS_SHARED | MsFlags::MS_REC)
}

fn change(path: &str, flags: MsFlags) -> Result<()> {
    mount(NONE, path, NONE, flags, NONE).map_err(Error::system(format!("change the propagation of {path}")))
}

fn bind(source: &Path, target: &Path) -> Result<()> {
    mount(Some(source), target, NONE, MsFlags::MS_BIND, NONE).map_err(Error::system(format!(
        "mount {} on {}",
        source.display(),
        target.display()
    )))
}

fn detach(point: &Path) -> Result<()> {
    umount2(point, MntFlags::MNT_DETACH).map_err(Error::system(format!("unmount {}", point.display())))
}
