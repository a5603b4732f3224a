//! The cluster as files: [`export`], compared with the cluster again ([`compare`]), and brought back ([`restore`]).
//!
//! Every kind that the API serves is listed in pages; an object is cleaned of what the cluster put in and written at once,
//! so memory holds a page for each list that is under way. What is left out is written down with the reason. A new
//! export is made beside the old one and takes its place in one step. The deciding parts ([`clean`], [`place`], [`yaml`],
//! [`compare`], the order of [`restore`]) are pure.

mod ask;
mod choose;
mod clean;
mod collect;
pub mod compare;
mod defaults;
mod files;
pub mod git;
pub mod helm;
mod index;
mod kinds;
mod leftovers;
pub mod page;
mod place;
pub mod restore;
pub mod secrets;
mod staging;
#[cfg(test)]
mod trials;
mod yaml;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use clean::OMITTED;
pub use collect::{Collected, Object, collect};
pub use files::{Export, Key, read};
pub use index::{Failed, INDEX, Index};
pub use kinds::Kind;

use secrets::{Sealing, SecretError, Vault};
use staging::Staging;

/// How files are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `NAMESPACE/KIND/NAME.yaml`.
    #[default]
    Tree,
    /// `NAMESPACE/KIND_NAME.yaml`.
    Flat,
}

/// What becomes of secrets' values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secrets {
    /// They are left out; an annotation names their keys.
    #[default]
    Omit,
    /// They are in the files, encrypted to somebody.
    Age,
    /// They are in the files, in the clear.
    Plain,
}

/// What is exported, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Only these namespaces; all of them, and what has none, if empty.
    pub namespaces: Vec<String>,
    /// Only these kinds, as kubectl names them; all if empty.
    pub kinds: Vec<String>,
    /// Also what comes by itself: owned objects, what servers and controllers make.
    pub all: bool,
    /// Only objects with these labels.
    pub selector: Option<String>,
    /// Objects as they are, with status and what the server keeps.
    pub raw: bool,
    /// Secrets.
    pub secrets: Secrets,
    /// Layout.
    pub layout: Layout,
}

/// Why an export, comparison or restore could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The API did not tell what it serves, or what was asked for.
    #[error("ask the API for {what}: {why}")]
    Api {
        /// What was asked for.
        what: String,
        /// Why it was refused.
        why: String,
    },
    /// A namespace is not there.
    #[error("there is no namespace {0}: `kubectl get namespaces` lists them")]
    NoNamespace(String),
    /// A kind is not served.
    #[error("the API serves no kind {0}: `kubectl api-resources` lists them")]
    NoKind(String),
    /// A namespace is not in the files.
    #[error("namespace {0} is not in the files: `ls` of the directory lists what is")]
    NotInFiles(String),
    /// A mapping makes two objects one.
    #[error("two objects of the files would become {0}: choose another name")]
    Twice(Key),
    /// The directory holds something else.
    #[error("{0} is no export (it has no _export.json): name a new or empty directory")]
    NoExport(PathBuf),
    /// A file is none of an export.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody else writes there.
    #[error("another export into {0} is under way: wait for its end")]
    Busy(PathBuf),
    /// The new export is in place, and something is left to be done.
    #[error(
        "the new export is in place, but what others keep there was not all moved ({0}): export again goes on with it"
    )]
    Unfinished(Box<ExportError>),
    /// Secrets can't be encrypted or decrypted.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Reading or writing failed.
    #[error("{what} {path}: {source}")]
    Io {
        /// A verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ExportError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// What an export came to.
#[derive(Debug)]
pub struct Exported {
    /// What is in `_export.json`.
    pub index: Index,
    /// Objects that were written.
    pub objects: usize,
    /// Files of an earlier export that stay, because their kind could not be read now.
    pub kept: usize,
    /// Why all secrets were encrypted anew, if they were.
    pub anew: Option<&'static str>,
    /// The files that are the export's now, and those that were before.
    pub paths: BTreeSet<PathBuf>,
}

/// Exports a cluster into a directory. `told` hears how many objects are written so far.
///
/// The directory is the old one until everything is written. Dropping the future leaves it so.
///
/// # Errors
/// When the API can't be asked at all, or a file can't be written. Kinds that may not be read are in the result.
pub async fn export(
    client: &kube::Client,
    directory: &Path,
    options: &Options,
    sealing: &Sealing,
    mut told: impl FnMut(usize),
) -> Result<Exported, ExportError> {
    leftovers::tidy(directory)?;
    let earlier = files::earlier(directory)?;
    let vault = match options.secrets {
        Secrets::Age => Some(Vault::open(sealing, earlier.as_ref())?),
        _ => None,
    };
    let mut staging = Staging::beside(directory, options.secrets == Secrets::Plain)?;
    let mut objects = 0;
    let mut index = collect(client, options, |collected| {
        match collected {
            Collected::Object(Object { kind, value, short, .. }) => {
                let mut value = short.unwrap_or(value);
                if let Some(vault) = vault.as_ref().filter(|_| Key::of(&value).is_secret()) {
                    vault.seal(&mut value)?;
                }
                let metadata = &value["metadata"];
                let name = metadata["name"].as_str().unwrap_or_default();
                let path = place::place(options.layout, &kind.group, &kind.kind, metadata["namespace"].as_str(), name);
                staging.write(&kind.shown(), &path, &yaml::write(&value))?;
            }
            Collected::Again(kind) => staging.forget(&kind.shown())?,
        }
        objects = staging.written();
        told(objects);
        Ok(())
    })
    .await?;
    let mut kept = 0;
    let mut ours = BTreeSet::from([PathBuf::from(INDEX)]);
    if let Some(earlier) = &earlier {
        for (path, object) in earlier.own() {
            ours.insert(path.clone());
            if index.hides(object) && !staging.has(path) {
                secrets::may_stay(path, object, earlier, vault.as_ref())?;
                staging.keep(directory, path)?;
                kept += 1;
            }
        }
    }
    let anew = vault.as_ref().and_then(Vault::anew);
    index.encryption = vault.map(Vault::close).transpose()?;
    staging.write("", Path::new(INDEX), &index.text())?;
    let paths = ours.iter().cloned().chain(staging.paths()).collect();
    staging.take_place(directory, &ours)?;
    Ok(Exported { index, objects, kept, anew, paths })
}

/// Group and kind of an object.
fn group_and_kind(object: &Value) -> (&str, &str) {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (group, object["kind"].as_str().unwrap_or_default())
}
