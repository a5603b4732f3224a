//! Receipts: what was changed, with what it takes to put it back. One directory each, for its owner only.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ChangeError;

/// Name of the receipt in its directory.
const RECEIPT: &str = "receipt.json";

/// One change, and how it is undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Record {
    /// A file got another content.
    File {
        /// Its node; absent for this machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// Its path.
        path: String,
        /// Name of the backup in the receipt's directory.
        backup: String,
        /// Sum (SHA-256) of the content before.
        before: String,
        /// Sum of the content afterwards.
        after: String,
        /// Whether the change is known to have been made.
        done: bool,
    },
    /// An object was patched.
    Object {
        /// Such as `apps/v1`.
        api_version: String,
        /// Such as `Deployment`.
        kind: String,
        /// Empty for objects without one.
        namespace: String,
        /// Its name.
        name: String,
        /// What stood in the touched places before, as a merge patch.
        before: Value,
        /// What stood there afterwards; what was asked for, until that is known.
        after: Value,
        /// Whether the change is known to have been made.
        done: bool,
    },
    /// An object was created.
    Created {
        /// Such as `apps/v1`.
        api_version: String,
        /// Such as `Deployment`.
        kind: String,
        /// Empty for objects without one.
        namespace: String,
        /// Its name.
        name: String,
        /// What tells it from one of the same name that somebody else made.
        uid: String,
    },
}

/// A unit that was restarted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// Its node; absent for this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Such as `containerd`.
    pub unit: String,
}

/// What one run changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Version of the form: 1.
    pub version: u32,
    /// Its name.
    pub id: String,
    /// When it was begun, in RFC 3339.
    pub time: String,
    /// Codes of the findings that were to be mended.
    pub findings: Vec<String>,
    /// The changes, in the order in which they are made.
    pub changes: Vec<Record>,
    /// Units that were restarted.
    pub restarted: Vec<Restarted>,
    /// Whether it was undone.
    pub undone: bool,
}

/// What Shipmate keeps for this user: `$XDG_STATE_HOME/shipmate`, or that below `~/.local/state`. `None` without a home.
pub(crate) fn state() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| variable("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("shipmate"))
}

/// Where receipts lie.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

impl Store {
    /// Receipts below a directory.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// `$XDG_STATE_HOME/shipmate/receipts`, or that below `~/.local/state`. `None` without a home.
    pub fn of_user() -> Option<Self> {
        state().map(|state| Self(state.join("receipts")))
    }

    /// The directory of a receipt.
    pub fn directory(&self, id: &str) -> PathBuf {
        self.0.join(id)
    }

    /// Begins a receipt to which changes are added as they are made.
    pub(crate) fn open(&self) -> Result<Receipt, ChangeError> {
        let now = jiff::Zoned::now();
        let receipt = Receipt {
            version: 1,
            id: self.begin(&now)?,
            time: now.timestamp().to_string(),
            findings: Vec::new(),
            changes: Vec::new(),
            restarted: Vec::new(),
            undone: false,
        };
        self.write(&receipt)?;
        Ok(receipt)
    }

    /// Makes a new receipt's directory; gives its name.
    pub(super) fn begin(&self, now: &jiff::Zoned) -> Result<String, ChangeError> {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        builder.recursive(true).create(&self.0).map_err(failed("make", &self.0))?;
        builder.recursive(false);
        let stem = now.strftime("%Y%m%d-%H%M%S").to_string();
        for number in 1..1000 {
            let id = if number == 1 { stem.clone() } else { format!("{stem}-{number}") };
            let directory = self.0.join(&id);
            match builder.create(&directory) {
                Ok(()) => return Ok(id),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make", &directory)(error)),
            }
        }
        Err(failed("make", &self.0.join(stem))(io::ErrorKind::AlreadyExists.into()))
    }

    /// Writes a receipt, whole or not at all.
    pub(crate) fn write(&self, receipt: &Receipt) -> Result<(), ChangeError> {
        let mut text = serde_json::to_string_pretty(receipt).unwrap_or_default();
        text.push('\n');
        self.put(&receipt.id, RECEIPT, &text)
    }

    /// Writes a file of a receipt, for its owner only.
    pub(super) fn put(&self, id: &str, name: &str, content: &str) -> Result<(), ChangeError> {
        let directory = self.directory(id);
        let path = directory.join(name);
        let written = tempfile::NamedTempFile::new_in(&directory).and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        });
        written.map(drop).map_err(failed("write", &path))
    }

    /// A backup.
    pub(super) fn backup(&self, id: &str, name: &str) -> Result<String, ChangeError> {
        let path = self.directory(id).join(name);
        fs::read_to_string(&path).map_err(failed("read", &path))
    }

    /// Finds a receipt by its name, the beginning of it, or its path; gives where it lies, too.
    ///
    /// # Errors
    /// When there is none, or several begin so.
    pub fn find(&self, wanted: &str) -> Result<(Self, Receipt), ChangeError> {
        let none = |why: &str| ChangeError::NoReceipt { path: wanted.to_owned(), why: why.to_owned() };
        let given = Path::new(wanted);
        let directory = if wanted.contains('/') {
            let directory = if given.is_dir() { given } else { given.parent().unwrap_or(given) };
            directory.to_owned()
        } else {
            let listing = fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok);
            let mut fitting: Vec<PathBuf> = listing
                .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(wanted)))
                .map(|entry| entry.path())
                .collect();
            fitting.sort();
            let exact = self.0.join(wanted);
            match fitting.as_slice() {
                _ if exact.is_dir() => exact,
                [one] => one.clone(),
                [] => return Err(none(&format!("receipts lie in {}", self.0.display()))),
                _ => return Err(none("several receipts begin so; write more of its name")),
            }
        };
        let path = directory.join(RECEIPT);
        let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let mut receipt: Receipt = serde_json::from_str(&text).map_err(|error| none(&error.to_string()))?;
        let name = directory.canonicalize().unwrap_or(directory);
        if let Some(id) = name.file_name().and_then(|id| id.to_str()) {
            id.clone_into(&mut receipt.id);
        }
        Ok((Self(name.parent().map(Path::to_owned).unwrap_or_default()), receipt))
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ChangeError {
    let path = path.display().to_string();
    move |source| ChangeError::Receipt { what, path, source }
}
