//! Named network namespaces, as `ip netns` keeps them.
//!
//! A name is a file in `/run/netns` with the namespace bind-mounted on it, so
//! `ip netns list`, `nsenter --net=` and everything that follows ip-netns(8)
//! works with ours. Namespaces are entered by a thread of its own, which ends
//! afterwards: no other thread ever changes its namespace.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use crate::layout::remove_file;
use crate::machine::Machine;
use crate::{Error, Result};

/// Where named network namespaces live.
pub const DIR: &str = "/run/netns";
const NONE: Option<&Path> = None;

/// The file of a named network namespace.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// Opens a named network namespace; `None` if there is none of that name.
#[must_use]
pub fn open(name: &str) -> Option<File> {
    let path = path(name);
    let mounted = statfs(&path).is_ok_and(|fs| fs.filesystem_type() == NSFS_MAGIC);
    if mounted { File::open(path).ok() } else { None }
}

/// Makes a named network namespace with its loopback interface still down.
pub(super) fn add(name: &str, machine: &Machine) -> Result<File> {
    ensure_dir(machine)?;
    let path = path(name);
    // A file without a namespace is what a killed command leaves behind.
    remove_file(&path)?;
    File::create_new(&path).map_err(Error::file("create", &path))?;
    let made = on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(Error::system("make a network namespace"))?;
        let ours = Path::new("/proc/thread-self/ns/net");
        mount(Some(ours), &path, NONE, MsFlags::MS_BIND, NONE)
            .map_err(Error::system(format!("mount a network namespace on {}", path.display())))
    });
    if let Err(error) = made {
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    File::open(&path).map_err(Error::file("open", &path))
}

/// Removes the name. The namespace ends with its last process.
pub(super) fn delete(name: &str) -> Result<()> {
    let path = path(name);
    // More than one mount may lie on the file, if `ip netns` bound the directory onto itself later.
    while umount2(&path, MntFlags::MNT_DETACH).is_ok() {}
    remove_file(&path)
}

/// Undoes [`ensure_dir`] when nothing is left in the directory.
pub(crate) fn remove_dir_if_empty() {
    let empty = fs::read_dir(DIR).is_ok_and(|mut listing| listing.next().is_none());
    if empty {
        while umount2(DIR, MntFlags::MNT_DETACH).is_ok() {}
        let _ = fs::remove_dir(DIR);
    }
}

/// `/run/netns` as a shared mount, which `ip netns add` makes of it too: so that
/// the removal of a name reaches every mount namespace.
fn ensure_dir(machine: &Machine) -> Result<()> {
    let dir = Path::new(DIR);
    let is_mount = |dir: &Path| {
        let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
        device(dir) != dir.parent().and_then(device) || crate::mounts::points().iter().any(|point| point == dir)
    };
    machine.make_netns_dir(
        || dir.is_dir() && is_mount(dir),
        || {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(Error::file("create", dir))?;
            mount(Some(dir), dir, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
                .map_err(Error::system(format!("mount {DIR}")))?;
            mount(NONE, dir, NONE, MsFlags::MS_SHARED | MsFlags::MS_REC, NONE)
                .map_err(Error::system(format!("make {DIR} a shared mount")))
        },
    )
}

/// Runs work in a network namespace; `None` is the caller's.
pub(crate) fn within<T: Send>(namespace: Option<&File>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    on_thread(|| {
        if let Some(file) = namespace {
            setns(file, CloneFlags::CLONE_NEWNET).map_err(Error::system("enter a network namespace"))?;
        }
        work()
    })
}

/// Runs work on a thread that ends afterwards, and passes a panic on.
pub(crate) fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
