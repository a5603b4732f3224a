//! Where a pulled image lies on this machine: an OCI image layout, filled blob by blob.
//!
//! Invariant: a blob under its digest is complete and was checked; what is under way has `.part` behind its name and is
//! continued by the next attempt.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cri::import::{Digest, ImageName};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// What an interrupted pull left is worth continuing for so long.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Left free on the disk: a full disk hurts more than a pull that was not begun.
pub(super) const SPARE: u64 = 256 << 20;

/// The layout of one image.
#[derive(Clone, Debug)]
pub struct ContentDir {
    root: PathBuf,
}

impl ContentDir {
    /// The directory of an image below `parent`; made if it is not there. Leftovers of others that are too old to be
    /// continued go.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn open(parent: &Path, name: &ImageName) -> io::Result<Self> {
        sweep(parent);
        let key = Digest::of(name.to_string().as_bytes());
        let root = parent.join(&key.as_str()["sha256:".len()..][..16]);
        fs::create_dir_all(root.join("blobs/sha256"))?;
        Ok(Self { root })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Removes it with everything in it.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn remove(self) -> io::Result<()> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(&digest.as_str()["sha256:".len()..])
    }

    /// Whether a blob is there.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.blob(digest).is_file()
    }

    /// A document that is there.
    pub(super) fn document(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = fs::read(self.blob(digest)).ok()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// Puts a document in.
    pub(super) fn put(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let mut part = self.part(digest)?;
        part.truncate()?;
        part.write(bytes)?;
        part.finish(self).map(drop)
    }

    /// A blob that is under way, continued where it was left.
    pub(super) fn part(&self, digest: &Digest) -> io::Result<Part> {
        let path = self.blob(digest).with_extension("part");
        let mut file = File::options().read(true).append(true).create(true).open(&path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut size = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            size += read as u64;
        }
        Ok(Part { path, file, hash, size, digest: digest.clone() })
    }

    /// Names the image: what the layout's readers begin with.
    pub(super) fn name(&self, name: &ImageName, digest: &Digest, media_type: &str, size: usize) -> io::Result<()> {
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": media_type, "digest": digest, "size": size,
            "annotations": {"io.containerd.image.name": name.to_string()},
        }]});
        fs::write(self.root.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#)?;
        let new = self.root.join("index.json.new");
        fs::write(&new, index.to_string())?;
        fs::rename(new, self.root.join("index.json"))
    }

    /// Bytes that may still be written.
    pub(super) fn room(&self) -> io::Result<u64> {
        let found = nix::sys::statvfs::statvfs(&self.root)?;
        // The block size is u64 here and u32 elsewhere.
        #[allow(clippy::useless_conversion, reason = "the types differ between platforms")]
        let free = u64::from(found.blocks_available()).saturating_mul(u64::from(found.fragment_size()));
        Ok(free.saturating_sub(SPARE))
    }
}

/// A blob that is under way.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    size: u64,
    digest: Digest,
}

impl Part {
    /// How much of it is there.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Begins it anew.
    pub(super) fn truncate(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.hash = Sha256::new();
        self.size = 0;
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Checks the blob and puts it under its digest; one with another digest is thrown away, and `Some` says which.
    pub(super) fn finish(self, directory: &ContentDir) -> io::Result<Option<String>> {
        let actual = format!("sha256:{:x}", self.hash.finalize());
        if actual != self.digest.as_str() {
            fs::remove_file(&self.path)?;
            return Ok(Some(actual));
        }
        self.file.sync_data()?;
        fs::rename(&self.path, directory.blob(&self.digest))?;
        Ok(None)
    }
}

fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > KEPT) {
            // The next sweep tries again.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_continued_and_checked() {
        let home = tempfile::tempdir().unwrap();
        let directory = ContentDir::open(home.path(), &"app:1".parse().unwrap()).unwrap();
        let digest = Digest::of(b"hello");
        directory.part(&digest).unwrap().write(b"hel").unwrap();
        assert!(!directory.has(&digest));
        let mut part = directory.part(&digest).unwrap();
        assert_eq!(part.size(), 3);
        part.write(b"lo").unwrap();
        assert_eq!(part.finish(&directory).unwrap(), None);
        assert_eq!(directory.document(&digest).unwrap(), b"hello");
    }

    #[test]
    fn a_damaged_blob_is_thrown_away() {
        let home = tempfile::tempdir().unwrap();
        let directory = ContentDir::open(home.path(), &"app:1".parse().unwrap()).unwrap();
        let digest = Digest::of(b"hello");
        let mut part = directory.part(&digest).unwrap();
        part.write(b"jello").unwrap();
        assert_eq!(part.finish(&directory).unwrap(), Some(Digest::of(b"jello").to_string()));
        assert_eq!(directory.part(&digest).unwrap().size(), 0);
    }
}
