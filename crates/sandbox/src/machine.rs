//! What was changed on this machine for all clusters together.
//!
//! Some things cannot be a cluster's own: IPv4 forwarding, the directory of
//! named network namespaces, and directories that must exist so that a node can
//! mount its own over them. One record for the whole machine says which of them
//! we made, so that the deletion of the last cluster undoes exactly these.
//!
//! Invariant: a change is recorded before it is made, and decided, recorded and
//! made under one lock. A cluster makes its bridge before it asks for any of
//! them, so that under the lock the bridges say who still needs them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::layout::{make_dir, remove_file, write_atomic};
use crate::lock::Lock;
use crate::{Error, Result};

/// The same for every home: the machine has only one of each of these things.
const RECORD: &str = "/var/lib/shipmate/machine.json";
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// The record, and the lock that guards it.
#[derive(Clone, Debug)]
pub struct Machine {
    file: PathBuf,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Changes {
    /// Forwarding was off before a cluster needed it.
    ip_forward: bool,
    /// `/run/netns` was not there.
    netns_dir: bool,
    /// Empty directories that we made outside our home.
    directories: BTreeSet<PathBuf>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { file: PathBuf::from(RECORD) }
    }
}

impl Machine {
    /// Switches IPv4 forwarding on; a cluster's traffic to the outside needs it.
    pub(crate) fn forward_ipv4(&self) -> Result<()> {
        let path = Path::new(IP_FORWARD);
        self.change(
            |changes| {
                let off = fs::read_to_string(path).map_err(Error::file("read", path))?.trim() == "0";
                changes.ip_forward |= off;
                Ok(off)
            },
            |off| if off { fs::write(path, "1").map_err(Error::file("write", path)) } else { Ok(()) },
        )
    }

    /// Makes `/run/netns` with `make` unless `exists` says that it is there.
    pub(crate) fn make_netns_dir(&self, exists: impl Fn() -> bool, make: impl FnOnce() -> Result<()>) -> Result<()> {
        self.change(
            |changes| {
                let missing = !exists();
                changes.netns_dir |= missing;
                Ok(missing)
            },
            |missing| if missing { make() } else { Ok(()) },
        )
    }

    /// Makes directories that nodes mount their own over.
    pub(crate) fn make_mount_points(&self, paths: &[&str]) -> Result<()> {
        self.change(
            |changes| {
                let missing = paths.iter().map(Path::new).filter(|path| !path.is_dir());
                let new = missing.flat_map(|path| path.ancestors().take_while(|ancestor| !ancestor.exists()));
                changes.directories.extend(new.map(Path::to_owned));
                Ok(())
            },
            |()| paths.iter().try_for_each(|path| make_dir(Path::new(path))),
        )
    }

    /// Undoes everything, unless `needed` says that a cluster is left.
    pub(crate) fn undo(&self, needed: impl FnOnce() -> Result<bool>) -> Result<()> {
        if !self.file.exists() {
            return Ok(());
        }
        let lock = self.lock()?;
        if needed()? {
            return Ok(());
        }
        let changes = self.read()?;
        if changes.ip_forward {
            let path = Path::new(IP_FORWARD);
            fs::write(path, "0").map_err(Error::file("write", path))?;
        }
        if changes.netns_dir {
            crate::network::netns::remove_dir_if_empty();
        }
        // Children sort behind their parents. Somebody may have put something
        // in one of them; then it is not ours any more.
        for path in changes.directories.iter().rev() {
            let _ = fs::remove_dir(path);
        }
        remove_file(&self.file)?;
        lock.discard()?;
        if let Some(dir) = self.file.parent() {
            // With other things in it, it stays.
            let _ = fs::remove_dir(dir);
        }
        Ok(())
    }

    fn lock(&self) -> Result<Lock> {
        Lock::take(&self.file.with_extension("lock"), LOCK_PATIENCE)
    }

    fn read(&self) -> Result<Changes> {
        match fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::refused(format!("{} cannot be used ({error}): remove it", self.file.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Changes::default()),
            Err(error) => Err(Error::file("read", &self.file)(error)),
        }
    }

    fn change<T>(
        &self,
        record: impl FnOnce(&mut Changes) -> Result<T>,
        make: impl FnOnce(T) -> Result<()>,
    ) -> Result<()> {
        let _lock = self.lock()?;
        let before = self.read()?;
        let mut after = before.clone();
        let decided = record(&mut after)?;
        if after != before {
            let bytes = serde_json::to_vec_pretty(&after)
                .map_err(|error| Error::refused(format!("cannot write machine.json: {error}")))?;
            write_atomic(&self.file, &bytes, 0o644)?;
        }
        make(decided)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_that_were_made_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine { file: dir.path().join("home/machine.json") };
        let (old, new) = (dir.path().join("old"), dir.path().join("new/deep"));
        fs::create_dir(&old).unwrap();
        let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
        machine.make_mount_points(&paths).unwrap();
        machine.make_mount_points(&paths).unwrap();
        assert!(new.is_dir());
        machine.undo(|| Ok(true)).unwrap();
        assert!(new.is_dir());
        machine.undo(|| Ok(false)).unwrap();
        assert!(old.is_dir() && !dir.path().join("new").exists() && !dir.path().join("home").exists());
    }
}
