//! What was staged where, and what was there before: written before a node is touched, so that a killed run is known.
//!
//! One file for each image and cluster, replaced as a whole. A lock beside it makes two runs wait for one another.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cri::import::Digest;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// What a name pointed at before it was staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// The digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: i64,
    /// Whether it was pinned.
    pub pinned: bool,
}

/// A name on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The name.
    pub name: String,
    /// What it was before; absent when nobody had that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

/// How far a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// It was about to be staged: something of it may be there.
    Begun,
    /// It is there and was verified.
    Staged,
    /// It was taken out again.
    Removed,
}

/// What a receipt says about one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSeed {
    /// The node.
    pub node: String,
    /// How far it is.
    pub state: NodeState,
    /// When it came so far, RFC 3339.
    pub at: String,
    /// The digest that its names point at.
    pub digest: String,
    /// The names, in the order in which they are to be taken out.
    pub names: Vec<Claim>,
}

/// What `image seed` did for one image in one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Its name; the images bear it as a label.
    pub id: String,
    /// Always `image-seed`.
    pub kind: String,
    /// The image.
    pub reference: String,
    /// Which cluster: its API server, or a name.
    pub cluster: String,
    /// Whether the registry was asked by http.
    pub plain_http: bool,
    /// The archive it came from, if from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// When it was begun.
    pub created: String,
    /// Its nodes.
    pub nodes: Vec<NodeSeed>,
    /// Workloads whose policy was patched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<PolicyPatch>,
}

/// A container whose `imagePullPolicy` was patched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPatch {
    /// Kind of the workload.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The container.
    pub container: String,
    /// The policy before; absent when it named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// Why receipts can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The file system says no.
    #[error("could not {what} {path}: {source}")]
    File {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is no receipt.
    #[error("{path} is no receipt: {problem}; move it away, and remove the image by hand where it is not wanted")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

/// The directory of receipts.
#[derive(Clone, Debug)]
pub struct Receipts {
    directory: PathBuf,
}

/// A receipt that only this process changes. Each change is on disk before it returns.
pub struct Held {
    receipt: Receipt,
    path: PathBuf,
    _lock: Flock<File>,
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ReceiptError {
    let path = path.display().to_string();
    move |source| ReceiptError::File { what, path, source }
}

impl Receipts {
    /// Those in a directory, which need not exist.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// All receipts of a cluster, by image.
    ///
    /// # Errors
    /// When the directory or one of them can't be read.
    pub fn of_cluster(&self, cluster: &str) -> Result<Vec<Receipt>, ReceiptError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(file_error("read", &self.directory))?,
        };
        let mut found = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(file_error("read", &self.directory))?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(receipt) = read(&path)?
                && receipt.cluster == cluster
            {
                found.insert(receipt.reference.clone(), receipt);
            }
        }
        Ok(found.into_values().collect())
    }

    /// Takes the receipt of an image, or begins one. Waits for another process that has it, after telling `waiting`.
    ///
    /// # Errors
    /// When the file system says no, or the file is no receipt.
    pub fn take(
        &self,
        cluster: &str,
        reference: &str,
        now: &str,
        waiting: impl FnOnce(),
    ) -> Result<Held, ReceiptError> {
        fs::create_dir_all(&self.directory).map_err(file_error("make", &self.directory))?;
        let key = Digest::of(format!("{cluster}\n{reference}").as_bytes());
        let key = &key.as_str()["sha256:".len()..][..16];
        let lock = self.directory.join(format!("{key}.lock"));
        let lock = self.lock(&lock, waiting)?;
        let path = self.directory.join(format!("{key}.json"));
        let receipt = read(&path)?.filter(|receipt| receipt.cluster == cluster && receipt.reference == reference);
        let receipt = receipt.unwrap_or_else(|| Receipt {
            id: format!("seed-{key}"),
            kind: "image-seed".to_owned(),
            reference: reference.to_owned(),
            cluster: cluster.to_owned(),
            plain_http: false,
            archive: None,
            created: now.to_owned(),
            nodes: Vec::new(),
            patches: Vec::new(),
        });
        Ok(Held { receipt, path, _lock: lock })
    }

    fn lock(&self, path: &Path, waiting: impl FnOnce()) -> Result<Flock<File>, ReceiptError> {
        let failed = |errno: Errno| file_error("lock", path)(errno.into());
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
        let file = file.map_err(file_error("open", path))?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, errno)) => return Err(failed(errno)),
        };
        waiting();
        loop {
            match Flock::lock(file, FlockArg::LockExclusive) {
                Ok(lock) => return Ok(lock),
                Err((again, Errno::EINTR)) => file = again,
                Err((_, errno)) => return Err(failed(errno)),
            }
        }
    }
}

fn read(path: &Path) -> Result<Option<Receipt>, ReceiptError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(file_error("read", path))?,
    };
    let receipt = serde_json::from_slice(&text)
        .map_err(|error| ReceiptError::Unreadable { path: path.display().to_string(), problem: error.to_string() })?;
    Ok(Some(receipt))
}

impl Held {
    /// What it says.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Changes it and writes it down.
    ///
    /// # Errors
    /// When the file system says no; it then still says what it said before.
    pub fn change(&mut self, change: impl FnOnce(&mut Receipt)) -> Result<(), ReceiptError> {
        let mut changed = self.receipt.clone();
        change(&mut changed);
        if changed == self.receipt && self.path.exists() {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&changed).map_err(|error| ReceiptError::Unreadable {
            path: self.path.display().to_string(),
            problem: error.to_string(),
        })?;
        let new = self.path.with_extension("json.new");
        let write = || -> io::Result<()> {
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            match self.path.parent() {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(file_error("write", &self.path))?;
        self.receipt = changed;
        Ok(())
    }

    /// What it says about a node that has, or may have, something of it.
    pub fn node(&self, node: &str) -> Option<&NodeSeed> {
        self.receipt.nodes.iter().find(|seed| seed.node == node && seed.state != NodeState::Removed)
    }

    /// Sets what it says about a node.
    ///
    /// # Errors
    /// As [`Held::change`].
    pub fn set_node(&mut self, seed: NodeSeed) -> Result<(), ReceiptError> {
        self.change(|receipt| {
            receipt.nodes.retain(|other| other.node != seed.node);
            receipt.nodes.push(seed);
            receipt.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(node: &str, state: NodeState) -> NodeSeed {
        NodeSeed { node: node.to_owned(), state, at: String::new(), digest: String::new(), names: Vec::new() }
    }

    #[test]
    fn a_receipt_is_found_again() {
        let home = tempfile::tempdir().unwrap();
        let receipts = Receipts::at(home.path().join("seeds"));
        assert_eq!(receipts.of_cluster("c").unwrap(), []);
        let mut held = receipts.take("c", "app:1", "now", || panic!("nobody has it")).unwrap();
        held.set_node(seed("n", NodeState::Begun)).unwrap();
        held.set_node(seed("n", NodeState::Staged)).unwrap();
        drop(held);
        let held = receipts.take("c", "app:1", "later", || ()).unwrap();
        assert_eq!((held.receipt().created.as_str(), held.node("n").unwrap().state), ("now", NodeState::Staged));
        assert_eq!(receipts.of_cluster("c").unwrap().len(), 1);
        assert_eq!(receipts.of_cluster("other").unwrap(), []);
    }

    #[test]
    fn another_process_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let receipts = Receipts::at(home.path());
        let held = receipts.take("c", "app:1", "now", || ()).unwrap();
        let (waits, waiting) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            receipts.take("c", "app:1", "now", || waits.send(()).unwrap()).map(drop).unwrap();
        });
        waiting.recv().unwrap();
        drop(held);
        other.join().unwrap();
    }

    #[test]
    fn what_is_no_receipt_is_said() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("x.json"), "{").unwrap();
        let error = Receipts::at(home.path()).of_cluster("c").unwrap_err();
        assert!(error.to_string().contains("is no receipt"), "{error}");
    }
}
