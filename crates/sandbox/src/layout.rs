//! Where everything of a cluster lies on disk.
//!
//! ```text
//! $SHIPMATE_HOME                     /var/lib/shipmate
//! ├── create.lock
//! └── clusters/
//!     ├── .NAME.lock
//!     └── NAME/
//!         ├── cluster.json           the configuration: written once, atomically
//!         ├── pki/                   certificates and keys
//!         ├── data/                  the store
//!         ├── log/  run/             logs and pidfiles of the server
//!         └── nodes/NODE/            one node: log/ run/ and what it sees as
//!             ├── etc/ var/ sys-run/ its own /etc files, /var directories, /run
//! ```
//!
//! Invariant: nothing of a cluster is outside its directory except what
//! [`crate::network`] and [`crate::cgroup`] make, and [`crate::Machine`] records.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Longest cluster or node name: names become parts of host names, cgroups,
/// network namespaces and of socket paths, which have 107 bytes in all.
pub const MAX_NAME: usize = 30;
/// Longest path of a unix socket (unix(7), `sun_path` less its final NUL).
const MAX_SOCKET_PATH: usize = 107;

/// The name of a cluster or node: an RFC 1123 label of at most [`MAX_NAME`]
/// characters that begins with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let legal = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let ends = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-');
        if legal && ends && text.len() <= MAX_NAME {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::refused(format!(
            "{text:?} is not a valid name: use at most {MAX_NAME} lower-case letters, digits and '-', \
             beginning with a letter and not ending with '-'"
        )))
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The directory that holds all clusters of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// `$SHIPMATE_HOME`; without it `/var/lib/shipmate` for root and
    /// `~/.local/share/shipmate` for anybody else (simulated clusters only).
    pub fn from_env() -> Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = variable("SHIPMATE_HOME") {
            return std::path::absolute(&path).map(Self).map_err(Error::file("resolve", &path));
        }
        if nix::unistd::geteuid().is_root() {
            return Ok(Self(PathBuf::from("/var/lib/shipmate")));
        }
        variable("XDG_DATA_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
            .map(|base| Self(base.join("shipmate")))
            .ok_or_else(|| Error::refused("there is no home directory: set SHIPMATE_HOME to a directory of yours"))
    }

    /// A home at a given place.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory of a cluster, whether it exists or not.
    #[must_use]
    pub fn cluster(&self, name: &Name) -> ClusterDir {
        ClusterDir(self.clusters_dir().join(name.as_str()))
    }

    /// Names of the clusters that exist, sorted.
    pub fn clusters(&self) -> Result<Vec<Name>> {
        let dir = self.clusters_dir();
        let listing = match fs::read_dir(&dir) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("read", &dir)(error)),
        };
        let mut names = Vec::new();
        for item in listing {
            let item = item.map_err(Error::file("read", &dir))?;
            let name = item.file_name().to_str().and_then(|text| text.parse::<Name>().ok());
            if let Some(name) = name
                && self.cluster(&name).config_file().exists()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The file whose lock serialises commands on one cluster.
    #[must_use]
    pub fn lock_file(&self, name: &Name) -> PathBuf {
        self.clusters_dir().join(format!(".{name}.lock"))
    }

    /// The file whose lock serialises the creation of clusters.
    #[must_use]
    pub fn create_lock(&self) -> PathBuf {
        self.0.join("create.lock")
    }

    fn clusters_dir(&self) -> PathBuf {
        self.0.join("clusters")
    }
}

/// The directory of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDir(PathBuf);

impl ClusterDir {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `cluster.json`.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.0.join("cluster.json")
    }

    /// Certificates and keys.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// The store's directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Log of a process of the cluster itself, such as `server`.
    #[must_use]
    pub fn log(&self, process: &str) -> PathBuf {
        self.0.join(format!("log/{process}.log"))
    }

    /// Pidfile of a process of the cluster itself.
    #[must_use]
    pub fn pidfile(&self, process: &str) -> PathBuf {
        self.0.join(format!("run/{process}.pid"))
    }

    /// The directory of a node, whether it exists or not.
    #[must_use]
    pub fn node(&self, name: &Name) -> NodeDir {
        NodeDir(self.0.join("nodes").join(name.as_str()))
    }
}

/// The directory of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDir(PathBuf);

impl NodeDir {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Log of a process of the node: `containerd` or `node`.
    #[must_use]
    pub fn log(&self, process: &str) -> PathBuf {
        self.0.join(format!("log/{process}.log"))
    }

    /// Pidfile of a process of the node.
    #[must_use]
    pub fn pidfile(&self, process: &str) -> PathBuf {
        self.0.join(format!("run/{process}.pid"))
    }

    /// What the node sees as `/run`.
    #[must_use]
    pub fn sys_run(&self) -> PathBuf {
        self.0.join("sys-run")
    }

    /// The directory that the node sees at `path`, an absolute path below
    /// `/etc` or `/var`: `/var/lib/kubelet` is `var/lib/kubelet` here.
    #[must_use]
    pub fn private(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// The CRI socket, as seen from outside the node. Inside it is at
    /// containerd's usual place, [`NodeDir::CRI_SOCKET_INSIDE`].
    #[must_use]
    pub fn cri_socket(&self) -> PathBuf {
        self.sys_run().join("containerd/containerd.sock")
    }

    /// The CRI socket, as seen from inside the node.
    pub const CRI_SOCKET_INSIDE: &str = "/run/containerd/containerd.sock";

    /// Refuses a directory so deep that its socket could not be connected to.
    pub fn check_socket_length(&self) -> Result<()> {
        let length = self.cri_socket().as_os_str().len();
        if length <= MAX_SOCKET_PATH {
            return Ok(());
        }
        Err(Error::refused(format!(
            "{} is {} bytes too deep for the path of a unix socket: choose a shorter name or SHIPMATE_HOME",
            self.0.display(),
            length - MAX_SOCKET_PATH
        )))
    }
}

/// Makes a directory and its parents, for the owner alone.
pub(crate) fn make_private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("create", path))
}

/// Makes a directory and its parents, readable by everybody.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(Error::file("create", path))
}

/// Replaces a file so that a reader, or a crash at any moment, finds the old
/// content or the new one and nothing between.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || -> io::Result<()> {
        // A leftover of a crashed process with our id would keep its old mode.
        let _ = fs::remove_file(&temporary);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        if let Some(parent) = path.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::file("write", path)(error)
    })
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        for good in ["shipmate", "a", "n-1", "c2"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        let long = "a".repeat(MAX_NAME + 1);
        for bad in ["", "1a", "-a", "a-", "A", "a_b", "a/b", "..", ".", "ä", &long] {
            let message = bad.parse::<Name>().unwrap_err().to_string();
            assert!(message.contains("is not a valid name"), "{message}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        write_atomic(&file, b"one", 0o600).unwrap();
        write_atomic(&file, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let missing = dir.path().join("no/f");
        assert!(write_atomic(&missing, b"x", 0o600).unwrap_err().to_string().starts_with("cannot write"));
    }

    #[test]
    fn only_directories_with_a_configuration_are_clusters() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(home.clusters().unwrap(), []);
        for name in ["b", "a", "no-config"] {
            make_dir(home.cluster(&name.parse().unwrap()).path()).unwrap();
        }
        for name in ["a", "b"] {
            fs::write(home.cluster(&name.parse().unwrap()).config_file(), "{}").unwrap();
        }
        fs::write(home.lock_file(&"a".parse().unwrap()), "").unwrap();
        let names: Vec<_> = home.clusters().unwrap().iter().map(Name::to_string).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
