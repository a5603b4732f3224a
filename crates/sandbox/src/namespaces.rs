//! The namespaces of a node: network, mount and UTS.
//!
//! They are kept alive by a process of their own, the holder, which does
//! nothing: so containerd and the kubelet can be killed and started again
//! without pods losing their volumes, and after the holder is killed nothing is
//! left behind, not even a mount. (A namespace bind-mounted on a file would stay
//! and needs a private mount under it, on machines where `/` is shared.)
//!
//! Invariant: a thread that enters them ends afterwards.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command};

use nix::sched::{CloneFlags, setns, unshare};

use crate::network::netns::on_thread;
use crate::process::ProcessId;
use crate::{Error, Result};

/// Handles to the namespaces of one node. Holding them keeps them alive.
#[derive(Debug)]
pub struct NodeNamespaces {
    net: File,
    mnt: File,
    uts: File,
}

impl NodeNamespaces {
    /// The namespaces that a process is in.
    pub fn of(process: &ProcessId) -> Result<Self> {
        let open = |kind: &str| {
            let path = format!("/proc/{}/ns/{kind}", process.pid);
            File::open(&path).map_err(Error::file("open", Path::new(&path)))
        };
        let namespaces = Self { net: open("net")?, mnt: open("mnt")?, uts: open("uts")? };
        if process.alive() {
            return Ok(namespaces);
        }
        Err(Error::refused("the process that holds the node's namespaces has ended: run `shipmate start` again"))
    }

    /// Runs work on a thread inside the node: its files, its network, its host name.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_thread(|| {
            self.enter().map_err(Error::system("enter the namespaces of a node"))?;
            work()
        })
    }

    /// Starts a command inside the node. Any program file, working directory and
    /// argument that is a path is looked up in the node's mount namespace.
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                self.enter()?;
                command.spawn()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn enter(&self) -> nix::Result<()> {
        setns(&self.net, CloneFlags::CLONE_NEWNET)?;
        setns(&self.uts, CloneFlags::CLONE_NEWUTS)?;
        // A thread that shares its root and working directory with others may
        // not change its mount namespace (setns(2)).
        unshare(CloneFlags::CLONE_FS)?;
        setns(&self.mnt, CloneFlags::CLONE_NEWNS)
    }
}
