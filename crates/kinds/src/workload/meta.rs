//! Reading metadata without the options in the way: what is not set reads as empty.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// An object with the usual metadata.
pub trait Meta: Metadata<Ty = ObjectMeta> {
    /// `metadata.name`.
    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`.
    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`.
    fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or_default()
    }

    /// `metadata.generation`.
    fn generation(&self) -> i64 {
        self.metadata().generation.unwrap_or_default()
    }

    /// `metadata.creationTimestamp`.
    fn created(&self) -> Timestamp {
        self.metadata().creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
    }

    /// Whether `metadata.deletionTimestamp` is set.
    fn deleting(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// One label.
    fn label(&self, key: &str) -> Option<&str> {
        text(self.metadata().labels.as_ref(), key)
    }

    /// One annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        text(self.metadata().annotations.as_ref(), key)
    }

    /// Whether `finalizer` keeps the object from going.
    fn has_finalizer(&self, finalizer: &str) -> bool {
        self.metadata().finalizers.iter().flatten().any(|one| one == finalizer)
    }
}

impl<K: Metadata<Ty = ObjectMeta>> Meta for K {}

fn text<'a>(map: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    map?.get(key).map(String::as_str)
}
