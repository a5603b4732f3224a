//! Reads an export back.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::place::{CLUSTER, place};
use super::{ExportError, INDEX, Index, group_and_kind, yaml};

/// What tells an object from all others of a cluster, whatever version it is read in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key {
    /// `None` for objects without one.
    pub namespace: Option<String>,
    /// API group; empty for the core.
    pub group: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// An object's key.
    pub fn of(object: &Value) -> Self {
        let (group, kind) = group_and_kind(object);
        let text = |name: &str| object["metadata"][name].as_str().map(str::to_owned);
        Self {
            namespace: text("namespace"),
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: text("name").unwrap_or_default(),
        }
    }

    /// Whether it is about a secret.
    pub fn is_secret(&self) -> bool {
        self.group.is_empty() && self.kind == "Secret"
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace.as_deref().unwrap_or(CLUSTER);
        write!(f, "{namespace}/{}/{}", super::kinds::folder(&self.group, &self.kind), self.name)
    }
}

/// An export that was read.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// Its `_export.json`.
    pub index: Index,
    /// Its objects, with their files relative to the directory.
    pub objects: Vec<(PathBuf, Value)>,
    /// Files that are no objects, and why.
    broken: Vec<(PathBuf, String)>,
}

impl Export {
    /// The files that an export wrote: each lies where its object belongs.
    pub(super) fn own(&self) -> impl Iterator<Item = &(PathBuf, Value)> {
        self.objects.iter().filter(|(path, object)| {
            let key = Key::of(object);
            let layout = self.index.options.layout;
            *path == place(layout, &key.group, &key.kind, key.namespace.as_deref(), &key.name)
        })
    }

    /// The objects by their keys.
    ///
    /// # Errors
    /// When two files are about the same object.
    pub fn by_key(&self) -> Result<BTreeMap<Key, &Value>, ExportError> {
        let mut found = BTreeMap::new();
        for (path, object) in &self.objects {
            let key = Key::of(object);
            if found.contains_key(&key) {
                let why = format!("there is another file about {key}: delete one of them");
                return Err(ExportError::File { path: path.clone(), why });
            }
            found.insert(key, object);
        }
        Ok(found)
    }
}

/// Reads an export.
///
/// # Errors
/// When the directory holds none, or a file in it is no object.
pub fn read(directory: &Path) -> Result<Export, ExportError> {
    let export = look(directory)?.ok_or_else(|| ExportError::NoExport(directory.to_owned()))?;
    match export.broken.first() {
        None => Ok(export),
        Some((path, why)) => Err(ExportError::File { path: directory.join(path), why: why.clone() }),
    }
}

/// The export whose place a new one takes: `None` if there is nothing.
pub(super) fn earlier(directory: &Path) -> Result<Option<Export>, ExportError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(ExportError::io("read", directory))?,
    };
    // A repository that was just begun is empty, too.
    let hidden = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let empty = entries.filter_map(Result::ok).all(|entry| hidden(&entry));
    match look(directory)? {
        None if empty => Ok(None),
        None => Err(ExportError::NoExport(directory.to_owned())),
        export => Ok(export),
    }
}

fn look(directory: &Path) -> Result<Option<Export>, ExportError> {
    let path = directory.join(INDEX);
    let index = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(ExportError::io("read", &path))?,
    };
    let index: Index = serde_json::from_str(&index)
        .map_err(|error| ExportError::File { path: path.clone(), why: error.to_string() })?;
    if index.version != 1 {
        let why = format!("it is of version {}, which a newer shipmate wrote", index.version);
        return Err(ExportError::File { path, why });
    }
    let mut export = Export { index, ..Export::default() };
    walk(directory, Path::new(""), &mut export)?;
    export.objects.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Some(export))
}

fn walk(directory: &Path, below: &Path, export: &mut Export) -> Result<(), ExportError> {
    let folder = directory.join(below);
    for entry in fs::read_dir(&folder).map_err(ExportError::io("read", &folder))? {
        let entry = entry.map_err(ExportError::io("read", &folder))?;
        let path = below.join(entry.file_name());
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(ExportError::io("read", &folder))?;
        if kind.is_dir() {
            walk(directory, &path, export)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let file = directory.join(&path);
            let text = fs::read_to_string(&file).map_err(ExportError::io("read", &file))?;
            match object(&text) {
                Ok(object) => export.objects.push((path, object)),
                Err(why) => export.broken.push((path, why)),
            }
        }
    }
    Ok(())
}

fn object(text: &str) -> Result<Value, String> {
    let object = yaml::read(text)?;
    for field in ["apiVersion", "kind"] {
        if object[field].as_str().is_none_or(str::is_empty) {
            return Err(format!("it is no object: it has no {field}"));
        }
    }
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        return Err("it is no object: it has no metadata.name".to_owned());
    }
    Ok(object)
}
