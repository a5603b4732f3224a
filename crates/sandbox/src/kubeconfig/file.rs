//! The kubeconfig file: locked, read, and replaced in one step.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::unusable;
use crate::layout::{make_private_dir, remove_file, write_atomic};
use crate::process::wait_until;
use crate::{Error, Result};

const LOCK_PATIENCE: Duration = Duration::from_secs(3);
/// Larger than any kubeconfig, and small enough to read.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The text of a file; `None` if it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<String>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
        Ok(meta) if !meta.is_file() => return Err(unusable(path)("it is not a file".to_owned())),
        Ok(meta) if meta.len() > MAX_BYTES => return Err(unusable(path)("it is too large".to_owned())),
        Ok(_) => {}
    }
    fs::read_to_string(path).map(Some).map_err(Error::file("read", path))
}

/// Changes a file under kubectl's lock. `change` gives the new text, or `None`
/// to remove the file. Gives whether anything changed.
pub(super) fn update(path: &Path, change: impl FnOnce(Option<&str>) -> Result<Option<String>, String>) -> Result<bool> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = owner_for(path, parent)?;
    if !parent.exists() {
        make_private_dir(parent)?;
        give(parent, owner)?;
    }
    let _lock = FileLock::take(path)?;
    // A link, as dotfile managers make it, stays one.
    let target =
        if path.exists() { path.canonicalize().map_err(Error::file("resolve", path))? } else { path.to_owned() };
    let before = read(&target)?;
    match change(before.as_deref()).map_err(unusable(path))? {
        Some(after) if before.as_ref() == Some(&after) => Ok(false),
        Some(after) => {
            write_atomic(&target, after.as_bytes(), 0o600)?;
            give(&target, owner)?;
            Ok(true)
        }
        None => remove_file(&target).map(|()| true),
    }
}

/// Who shall own the file: its owner; for a new one that of its directory, so
/// that a start under sudo leaves the user's files to the user.
fn owner_for(path: &Path, parent: &Path) -> Result<(u32, u32)> {
    let existing = std::iter::once(path).chain(parent.ancestors()).find(|path| path.exists()).unwrap_or(Path::new("/"));
    let meta = fs::metadata(existing).map_err(Error::file("inspect", existing))?;
    Ok((meta.uid(), meta.gid()))
}

fn give(path: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(Error::file("change the owner of", path))
}

/// `config.lock`, which whoever creates it has to remove.
struct FileLock(PathBuf);

impl FileLock {
    fn take(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let mut last = None;
        let taken = wait_until(LOCK_PATIENCE, || {
            match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock) {
                Ok(_) => true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    last = None;
                    false
                }
                Err(error) => {
                    last = Some(error);
                    true
                }
            }
        });
        if let Some(error) = last {
            return Err(Error::file("create", &lock)(error));
        }
        if taken {
            return Ok(Self(lock));
        }
        Err(Error::refused(format!(
            "{} exists: another program changes the kubeconfig; if none does, remove that file",
            lock.display()
        )))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
