//! Metadata: what the server decides, what a client may, and what is wrong with it.

use std::collections::BTreeSet;

use api::{FieldErrors, Kind, Path, View, names};
use jiff::Timestamp;
use rand::RngExt;
use serde_json::{Map, Value, json};

/// Bytes that all annotations of an object may have together.
const MAX_ANNOTATIONS: usize = 256 * 1024;
/// Characters of generated suffixes: no vowels, so no words come about, and nothing that looks like another.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// Longest base of a generated name, so that the whole is a label.
const MAX_BASE: usize = 63 - SUFFIX_LENGTH;
/// Fields that a client's metadata never decides.
/// `managedFields` has a module of its own.
const NEVER: &[&str] = &["selfLink", "managedFields"];
/// Fields that are left out when there is nothing in them.
const OMITTED_WHEN_EMPTY: &[&str] = &["labels", "annotations", "finalizers", "ownerReferences"];

/// A name made from `generateName`.
pub(super) fn generate(base: &str) -> String {
    let mut end = base.len().min(MAX_BASE);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut random = rand::rng();
    let suffix = (0..SUFFIX_LENGTH).map(|_| char::from(SUFFIX[random.random_range(0..SUFFIX.len())]));
    base[..end].chars().chain(suffix).collect()
}

/// A random suffix as generated names have it.
pub(crate) fn suffix() -> String {
    generate("")
}

/// A time as `metav1.Time` is written.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Fills in what the server decides when an object is created.
pub(super) fn on_create(kind: &Kind, value: &mut Value, namespace: &str, view: &View) {
    let Some(meta) = value["metadata"].as_object_mut() else { return };
    for field in
        NEVER.iter().chain(&["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generation"])
    {
        meta.remove(*field);
    }
    omit_empty(meta);
    meta.insert("uid".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
    meta.insert("creationTimestamp".to_owned(), json!(time(view.now())));
    if kind.generation {
        meta.insert("generation".to_owned(), json!(1));
    }
    if kind.namespaced {
        meta.insert("namespace".to_owned(), json!(namespace));
    } else {
        meta.remove("namespace");
    }
}

/// Empty lists and maps are as good as none, and `kubectl diff` would show them.
fn omit_empty(meta: &mut Map<String, Value>) {
    let empty = |field: &Value| match field {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    meta.retain(|name, field| !(OMITTED_WHEN_EMPTY.contains(&name.as_str()) && empty(field)));
}

/// Carries over what an update leaves alone, and reports what it may not change.
pub(super) fn on_update(value: &mut Value, old: &Value, errors: &mut FieldErrors) {
    let old = &old["metadata"];
    let Some(meta) = value["metadata"].as_object_mut() else { return };
    for field in NEVER {
        meta.remove(*field);
    }
    omit_empty(meta);
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        let sent = meta.get(field).filter(|sent| !sent.is_null());
        if let Some(sent) = sent.filter(|sent| **sent != old[field]) {
            errors.invalid(&Path::new("metadata").child(field), sent.clone(), "field is immutable");
        }
    }
    let carried = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];
    for field in carried.into_iter().chain(["generation", "resourceVersion"]) {
        match &old[field] {
            Value::Null => meta.remove(field),
            kept => meta.insert(field.to_owned(), kept.clone()),
        };
    }
    if old["deletionTimestamp"].is_null() {
        return;
    }
    let had: BTreeSet<&str> = texts(&old["finalizers"]).collect();
    let added: Vec<&str> = texts(&value["metadata"]["finalizers"]).filter(|one| !had.contains(one)).collect();
    if !added.is_empty() {
        let listed: Vec<String> = added.iter().map(|one| format!("{one:?}")).collect();
        errors.forbidden(
            &Path::new("metadata.finalizers"),
            &format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                listed.join(", ")
            ),
        );
    }
}

/// Counts a change of anything but metadata and status.
pub(super) fn count_generation(kind: &Kind, value: &mut Value, old: &Value) {
    let counted = |value: &Value| {
        let fields = value.as_object().into_iter().flatten();
        fields
            .filter(|(name, _)| *name != "metadata" && *name != "status")
            .map(|(name, field)| (name.clone(), field.clone()))
            .collect::<Vec<_>>()
    };
    if kind.generation && counted(value) != counted(old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or_default();
        value["metadata"]["generation"] = json!(generation + 1);
    }
}

/// Strings of a list.
pub(crate) fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Reports everything that is wrong with metadata, whatever the kind.
pub(super) fn validate(kind: &Kind, value: &Value, errors: &mut FieldErrors) {
    let path = Path::new("metadata");
    let meta = &value["metadata"];
    let name = meta["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.required(&path.child("name"), "name or generateName is required");
    } else {
        for why in bad_segment(name).into_iter().chain(name_rule(kind)(name)) {
            errors.invalid(&path.child("name"), name, &why);
        }
    }
    validate_labels(&meta["labels"], &path.child("labels"), errors);
    validate_annotations(&meta["annotations"], &path.child("annotations"), errors);
    validate_finalizers(meta, &path.child("finalizers"), errors);
    validate_owners(&meta["ownerReferences"], &path.child("ownerReferences"), errors);
}

/// What the names of a kind's objects must look like: nearly always RFC 1123 subdomains.
fn name_rule(kind: &Kind) -> fn(&str) -> Vec<String> {
    match (kind.group, kind.kind) {
        // Names of roles have colons, and those of requests are up to who makes them.
        ("rbac.authorization.k8s.io", _) | ("certificates.k8s.io", _) => |_| Vec::new(),
        ("", "Namespace") => names::dns_label,
        ("", "Service") => names::dns_1035_label,
        ("networking.k8s.io", "IPAddress") => |_| Vec::new(),
        _ => names::dns_subdomain,
    }
}

/// What is wrong with a name as a segment of a URL's path.
fn bad_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"].into_iter().filter(|bad| name.contains(bad)).map(|bad| format!("may not contain '{bad}'")).collect()
}

fn validate_labels(labels: &Value, path: &Path, errors: &mut FieldErrors) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        for why in names::qualified_name(key) {
            errors.invalid(path, key.as_str(), &why);
        }
        let value = value.as_str().unwrap_or_default();
        for why in names::label_value(value) {
            errors.invalid(path, value, &why);
        }
    }
}

fn validate_annotations(annotations: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        for why in names::qualified_name(&key.to_lowercase()) {
            errors.invalid(path, key.as_str(), &why);
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        errors.too_long(path, MAX_ANNOTATIONS);
    }
}

fn validate_finalizers(meta: &Value, path: &Path, errors: &mut FieldErrors) {
    let finalizers: Vec<&str> = texts(&meta["finalizers"]).collect();
    for (at, finalizer) in finalizers.iter().enumerate() {
        for why in names::qualified_name(finalizer) {
            errors.invalid(path, *finalizer, &why);
        }
        if !finalizer.contains('/') && !matches!(*finalizer, "foregroundDeletion" | "orphan" | "kubernetes") {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(&path.index(at), *finalizer, why);
        }
    }
    if finalizers.contains(&"foregroundDeletion") && finalizers.contains(&"orphan") {
        let why = "finalizers orphan and foregroundDeletion cannot be both set";
        errors.invalid(path, meta["finalizers"].clone(), why);
    }
}

fn validate_owners(owners: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut controller: Option<&str> = None;
    for (at, owner) in owners.as_array().into_iter().flatten().enumerate() {
        let path = path.index(at);
        for (field, detail) in [("apiVersion", "version must not be empty"), ("kind", ""), ("name", ""), ("uid", "")] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                errors.invalid(&path.child(field), "", if detail.is_empty() { "must not be empty" } else { detail });
            }
        }
        if owner["controller"] == true {
            let name = owner["kind"].as_str().unwrap_or_default();
            if let Some(first) = controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                errors.invalid(&Path::new("metadata.ownerReferences"), owners.clone(), &why);
            }
            controller = Some(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_labels() {
        let long = "x".repeat(100);
        for base in ["web-", "", &long, "é"] {
            let name = generate(base);
            assert!(name.len() <= 63 && name.chars().count() >= 5, "{name}");
            assert_ne!(name, generate(base));
        }
    }

    #[test]
    fn bad_metadata_is_reported_field_by_field() {
        let catalogue = kinds::catalogue();
        let config_map = catalogue.by_kind("", "ConfigMap").unwrap();
        let cases = [
            (json!({}), "metadata.name: Required value: name or generateName is required"),
            (json!({"name": "a/b"}), "metadata.name: Invalid value: \"a/b\": may not contain '/'"),
            (json!({"name": "A"}), "metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"),
            (json!({"name": "a", "labels": {"-": "x"}}), "metadata.labels: Invalid value: \"-\""),
            (json!({"name": "a", "labels": {"x": "a b"}}), "metadata.labels: Invalid value: \"a b\""),
            (json!({"name": "a", "annotations": {"a b": ""}}), "metadata.annotations: Invalid value: \"a b\""),
            (
                json!({"name": "a", "annotations": {"a": "x".repeat(MAX_ANNOTATIONS)}}),
                "metadata.annotations: Too long: may not be more than 262144 bytes",
            ),
            (json!({"name": "a", "finalizers": ["mine"]}), "metadata.finalizers[0]: Invalid value: \"mine\": name is"),
            (json!({"name": "a", "ownerReferences": [{"kind": "A"}]}), "metadata.ownerReferences[0].apiVersion"),
        ];
        for (meta, expected) in cases {
            let mut errors = FieldErrors::default();
            validate(config_map, &json!({"metadata": meta}), &mut errors);
            assert!(errors.to_string().contains(expected), "{errors} lacks {expected}");
        }
        let mut errors = FieldErrors::default();
        validate(config_map, &json!({"metadata": {"name": "a", "finalizers": ["x.io/y", "orphan"]}}), &mut errors);
        assert!(errors.is_empty(), "{errors}");
    }
}
