//! `subPath`: a part of a volume, bound to a place that the pod cannot change.
//!
//! A container may replace a directory of its own volume by a symbolic link while another one starts.
//! So the path is opened without leaving the volume, and what was opened is mounted, not its name.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;

use crate::volume::empty_dir::mount_points;

/// Binds `sub` of the volume at `volume` to `target` and answers `target`. Missing directories are made
/// (as Kubernetes does), with the mode of the volume.
pub(super) fn bind(volume: &Path, sub: &str, target: &Path) -> Result<PathBuf, String> {
    let inside = Path::new(sub).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(format!("subPath {sub:?} must stay within the volume"));
    }
    let failed = |err: io::Error| format!("failed to prepare subPath {sub:?} of {}: {err}", volume.display());
    let source = open_inside(volume, sub).map_err(failed)?;
    if mount_points().map_err(failed)?.iter().any(|point| point == target) {
        return Ok(target.to_owned());
    }
    let proc = format!("/proc/self/fd/{}", source.as_raw_fd());
    let is_dir = fs::metadata(&proc).map_err(failed)?.is_dir();
    let parent = target.parent().unwrap_or(target);
    fs::create_dir_all(parent).map_err(failed)?;
    if is_dir {
        fs::create_dir_all(target).map_err(failed)?;
    } else {
        fs::OpenOptions::new().create(true).append(true).open(target).map_err(failed)?;
    }
    mount(Some(Path::new(&proc)), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(|err| failed(err.into()))?;
    Ok(target.to_owned())
}

/// Opens a path within a volume; symbolic links are followed only as far as they stay in it.
fn open_inside(volume: &Path, sub: &str) -> io::Result<OwnedFd> {
    let root = open(volume, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(&root, sub, how) {
        Err(nix::errno::Errno::ENOENT) => {
            make_dirs(&root, sub)?;
            Ok(openat2(&root, sub, how)?)
        }
        other => Ok(other?),
    }
}

fn make_dirs(root: &OwnedFd, sub: &str) -> io::Result<()> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let mut dir = openat2(root, ".", how)?;
    let mut so_far = PathBuf::new();
    for part in Path::new(sub).components() {
        so_far.push(part);
        match nix::sys::stat::mkdirat(&dir, part.as_os_str(), Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            Err(err) => return Err(err.into()),
        }
        dir = openat2(root, &so_far, how)?;
    }
    Ok(())
}
