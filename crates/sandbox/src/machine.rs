//! What was changed on this machine for all clusters together.
//!
//! Some things cannot be a cluster's own: IPv4 forwarding, the directory of
//! named network namespaces, and directories that must exist so that a node can
//! mount its own over them. `machine.json` records those that we made, so that
//! the deletion of the last cluster can undo exactly these.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::layout::{Home, make_dir, remove_file, write_atomic};
use crate::lock::Lock;
use crate::{Error, Result};

const LOCK_PATIENCE: Duration = Duration::from_secs(10);
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

impl Machine {
    /// The record kept in a home.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        Self { file: home.machine_file() }
    }

    /// Switches IPv4 forwarding on; a cluster's traffic to the outside needs it.
    pub(crate) fn forward_ipv4(&self) -> Result<()> {
        let path = Path::new(IP_FORWARD);
        let value = fs::read_to_string(path).map_err(Error::file("read", path))?;
        if value.trim() != "0" {
            return Ok(());
        }
        self.update(|changes| {
            changes.ip_forward = true;
            Ok(())
        })?;
        fs::write(path, "1").map_err(Error::file("write", path))
    }

    /// Records that `/run/netns` is about to be made.
    pub(crate) fn made_netns_dir(&self) -> Result<()> {
        self.update(|changes| {
            changes.netns_dir = true;
            Ok(())
        })
    }

    /// Makes directories that nodes mount their own over.
    pub(crate) fn make_mount_points(&self, paths: &[&str]) -> Result<()> {
        let missing: Vec<&Path> = paths.iter().map(Path::new).filter(|path| !path.is_dir()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.update(|changes| {
            for path in missing {
                let new = path.ancestors().take_while(|ancestor| !ancestor.exists());
                changes.directories.extend(new.map(Path::to_owned));
            }
            Ok(())
        })?;
        paths.iter().try_for_each(|path| make_dir(Path::new(path)))
    }

    /// Undoes everything. Only when no cluster is left on the machine.
    pub(crate) fn undo(&self) -> Result<()> {
        self.update(|changes| {
            if changes.ip_forward {
                let path = Path::new(IP_FORWARD);
                fs::write(path, "0").map_err(Error::file("write", path))?;
            }
            if changes.netns_dir {
                crate::network::netns::remove_dir_if_empty();
            }
            // Children sort behind their parents. Somebody may have put
            // something in one of them; then it is not ours any more.
            for path in changes.directories.iter().rev() {
                let _ = fs::remove_dir(path);
            }
            *changes = Changes::default();
            Ok(())
        })?;
        remove_file(&self.file)?;
        remove_file(&self.lock_file())
    }

    fn lock_file(&self) -> PathBuf {
        self.file.with_extension("lock")
    }

    fn update(&self, change: impl FnOnce(&mut Changes) -> Result<()>) -> Result<()> {
        let _lock = Lock::take(&self.lock_file(), LOCK_PATIENCE)?;
        let before: Changes = match fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::refused(format!("{} cannot be used ({error}): remove it", self.file.display()))
            })?,
            Err(_) => Changes::default(),
        };
        let mut after = before.clone();
        change(&mut after)?;
        if after == before {
            return Ok(());
        }
        let bytes = serde_json::to_vec_pretty(&after)
            .map_err(|error| Error::refused(format!("cannot write machine.json: {error}")))?;
        write_atomic(&self.file, &bytes, 0o644)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_that_were_made_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::of(&Home::at(dir.path().join("home")));
        let (old, new) = (dir.path().join("old"), dir.path().join("new/deep"));
        fs::create_dir(&old).unwrap();
        let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
        machine.make_mount_points(&paths).unwrap();
        machine.make_mount_points(&paths).unwrap();
        assert!(new.is_dir());
        machine.undo().unwrap();
        assert!(old.is_dir() && !dir.path().join("new").exists());
        assert_eq!(fs::read_dir(dir.path().join("home")).unwrap().count(), 0);
    }
}
