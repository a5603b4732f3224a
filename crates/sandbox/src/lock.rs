//! One command at a time on a cluster.
//!
//! The lock is an advisory `flock` on a file beside the cluster's directory, so
//! that it outlives the directory while that is removed, and is gone with the
//! process that held it, however that ended.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::layout::{make_dir, remove_file};
use crate::{Error, Result};

/// How often a waiting command looks again.
const POLL: Duration = Duration::from_millis(50);

/// Held while a command changes something; released when dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock, waiting at most `patience` for another command to end.
    pub fn take(path: &Path, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(parent) = path.parent() {
                make_dir(parent)?;
            }
            match Self::attempt(path)? {
                Ok(lock) => return Ok(lock),
                Err(holder) if Instant::now() >= deadline => {
                    return Err(Error::refused(format!(
                        "another shipmate command ({holder}) is working on this cluster: wait for it, then try again"
                    )));
                }
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    /// Removes the lock file and releases the lock: the last act of a deletion.
    pub fn discard(self) -> Result<()> {
        remove_file(&self.path)
    }

    /// The inner error is a description of the holder.
    fn attempt(path: &Path) -> Result<Result<Self, String>> {
        let mut file = match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path) {
            Ok(file) => file,
            // The deletion of the last cluster took the directory along.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err("ending".to_owned())),
            Err(error) => return Err(Error::file("open", path)(error)),
        };
        let opened = file.metadata().map_err(Error::file("inspect", path))?.ino();
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(Err(holder.trim_end().to_owned())),
            Err((_, errno)) => return Err(Error::file("lock", path)(errno.into())),
        };
        // A deletion may have removed the file between our open and our lock;
        // then the lock is on a file that nobody else will ever find.
        if std::fs::metadata(path).map(|meta| meta.ino()).ok() != Some(opened) {
            return Ok(Err("ending".to_owned()));
        }
        let text = format!("pid {}\n", std::process::id());
        let write = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        write.map_err(Error::file("write", path))?;
        Ok(Ok(Self { path: path.to_owned(), _file: file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_command_sees_the_first_and_may_follow_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clusters/.a.lock");
        let first = Lock::take(&path, Duration::ZERO).unwrap();
        let refused = Lock::take(&path, Duration::ZERO).unwrap_err().to_string();
        assert!(refused.contains(&format!("pid {}", std::process::id())), "{refused}");
        drop(first);
        let second = Lock::take(&path, Duration::ZERO).unwrap();
        second.discard().unwrap();
        assert!(!path.exists());
        Lock::take(&path, Duration::ZERO).unwrap();
    }
}
