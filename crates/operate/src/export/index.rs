//! `_export.json`: what an export holds, what it leaves out, and why. Nothing in it changes unless the cluster does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::helm::Releases;
use super::secrets::Encryption;
use super::{Options, group_and_kind};

/// Its name.
pub const INDEX: &str = "_export.json";

/// What could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failed {
    /// A kind (`secrets`, `deployments.apps`), or a version of a group (`metrics.k8s.io/v1beta1`).
    pub what: String,
    /// What the API said.
    pub why: String,
    /// Group of the kind, or the group itself.
    pub group: String,
    /// The kind; all of the group if empty.
    pub kind: String,
}

/// The content of `_export.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Index {
    /// Version of the form: 1.
    pub version: u32,
    /// What was asked for.
    pub options: Options,
    /// Objects of each kind.
    pub exported: BTreeMap<String, usize>,
    /// Kinds that were left out, and why.
    pub kinds_left_out: BTreeMap<String, String>,
    /// Objects that were left out, by kind and reason. Owned objects come and go, and are not named.
    pub objects_left_out: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Fields that were left out, by kind.
    pub fields_left_out: BTreeMap<String, BTreeSet<String>>,
    /// For whom secrets' values are encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Fields that were left out where the server sets the same by itself, by kind.
    pub defaults_left_out: BTreeMap<String, BTreeSet<String>>,
    /// Kinds of which objects have such fields in their files nevertheless, and why it could not be told.
    pub defaults_kept: BTreeMap<String, BTreeSet<String>>,
    /// Secrets without their values.
    pub secrets_without_values: BTreeSet<String>,
    /// Releases of Helm: with secrets encrypted or in the clear, what Helm remembers of them is in the files.
    pub helm: Releases,
    /// What could not be read.
    pub failed: Vec<Failed>,
}

impl Index {
    /// Whether an object's kind could not be read, so that nothing is known of it.
    pub(super) fn hides(&self, object: &Value) -> bool {
        let (group, kind) = group_and_kind(object);
        self.failed.iter().any(|failed| failed.group == group && (failed.kind.is_empty() || failed.kind == kind))
    }

    /// Its text.
    pub(super) fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("names and texts are JSON");
        text.push('\n');
        text
    }
}
