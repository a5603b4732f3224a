//! Manifests beside the validation of their kind, with the words of Kubernetes.

use std::sync::LazyLock;

use api::field::FieldError;
use api::{Catalogue, FieldErrors, names};

use super::structure::{Problem, problems};
use crate::read::manifest::{Document, Node};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(kinds::catalogue);

/// What the API server would say of a document whose structure is right; nothing for one whose structure is wrong.
pub(super) fn errors(document: &Document) -> Vec<FieldError> {
    let structural = |problem: &Problem<'_>| !matches!(problem.wrong, super::structure::Wrong::Missing);
    if problems(document).iter().any(structural) {
        return Vec::new();
    }
    let (group, version) = document.group_version();
    let Some(kind) = CATALOGUE.by_kind(group, document.top("kind")).filter(|kind| kind.version == version) else {
        return Vec::new();
    };
    let mut value = document.value.clone();
    // Nulls mean "not there".
    if let Some(schema) = super::structure::schema_of(document) {
        schema.check(&mut value, api::schema::CheckOptions::default());
    }
    kind.prepare(&mut value, None);
    kind.fill_defaults(&mut value);
    let mut errors = FieldErrors::default();
    match kind.validate(&value, None, &mut errors) {
        Ok(()) => errors.0,
        Err(_) => Vec::new(),
    }
}

/// Key and value of an error's field, or of the nearest one around it that is in the file.
pub(super) fn place<'a>(document: &'a Document, path: &str) -> (Option<&'a Node>, &'a Node, bool) {
    let mut path = path;
    let mut exact = true;
    loop {
        if let Some((key, value)) = document.root.find(path) {
            return (key, value, exact);
        }
        exact = false;
        path = match path.rfind(['.', '[']) {
            Some(at) => &path[..at],
            None => "",
        };
    }
}

/// What is wrong with an object's name; empty when nothing is.
pub(super) fn name_faults(group: &str, kind: &str, name: &str) -> Vec<String> {
    match (group, kind) {
        ("rbac.authorization.k8s.io" | "certificates.k8s.io", _) | ("networking.k8s.io", "IPAddress") => Vec::new(),
        ("", "Namespace") => names::dns_label(name),
        ("", "Service") => names::dns_1035_label(name),
        _ => names::dns_subdomain(name),
    }
}

/// Whether the file says nothing at a path.
pub(super) fn is_absent(document: &Document, path: &str) -> bool {
    document.root.find(path).is_none()
}
