//! Files of a node that decide about a pull, as far as they are known.

use std::collections::{BTreeMap, BTreeSet};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file with this text.
    File(String),
    /// A directory with these names in it.
    Directory(Vec<String>),
    /// Nothing.
    Missing,
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// Known files, and the paths that were asked for and are not known.
#[derive(Clone, Debug, Default)]
pub struct Files {
    known: BTreeMap<String, Found>,
    wanted: BTreeSet<String>,
}

impl Files {
    /// Tells what is at a path.
    pub fn set(&mut self, path: impl Into<String>, found: Found) {
        self.known.insert(path.into(), found);
    }

    /// What is at a path; one that is not known is noted, and taken as missing for now.
    pub(super) fn get(&mut self, path: &str) -> Found {
        match self.known.get(path) {
            Some(found) => found.clone(),
            None => {
                self.wanted.insert(path.to_owned());
                Found::Missing
            }
        }
    }

    /// What is at a path, if it is known.
    pub fn known(&self, path: &str) -> Option<&Found> {
        self.known.get(path)
    }

    /// The paths that were asked for and are not known; they are forgotten here.
    pub fn take_wanted(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.wanted)
    }
}

/// Joins two paths and tidies the result, as Go's `filepath.Join`.
pub(super) fn join(base: &str, rest: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(rest.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let root = if base.starts_with('/') || (base.is_empty() && rest.starts_with('/')) { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The directory of a path.
pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((parent, _)) => parent,
        None => ".",
    }
}
