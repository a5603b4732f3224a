//! Changes of objects that a plan has at hand, stored or typed.

use api::{Change, Key, Listed, Object, Propagation, Subresource, View};
use serde_json::{Value, json};

use super::meta::Meta;

/// Names a typed object.
pub fn key<K: Listed + Meta>(object: &K, view: &View) -> Key {
    let kind = view.catalogue().kind(view.catalogue().id_of::<K>());
    Key::new(kind.id, if kind.namespaced { object.namespace() } else { "" }, object.name())
}

/// Patches a typed object, whatever else became of it meanwhile.
pub fn patch<K: Listed + Meta>(object: &K, view: &View, part: Subresource, patch: Value) -> Change {
    Change::Patch { key: key(object, view), uid: object.uid().to_owned(), part, patch }
}

/// Patches metadata; conflicts when the object has changed since, because lists in it are replaced whole.
pub fn patch_meta(object: &Object, mut meta: Value) -> Change {
    meta["resourceVersion"] = Value::String(object.header.revision.to_string());
    Change::Patch {
        key: object.header.key.clone(),
        uid: object.header.uid.to_string(),
        part: Subresource::Main,
        patch: json!({ "metadata": meta }),
    }
}

/// Takes `finalizer` off an object.
pub fn remove_finalizer(object: &Object, finalizer: &str) -> Change {
    let rest: Vec<&String> = object.header.finalizers.iter().filter(|one| *one != finalizer).collect();
    patch_meta(object, json!({ "finalizers": if rest.is_empty() { Value::Null } else { json!(rest) } }))
}

/// Deletes a typed object in the background; `grace` overrides its own grace period.
pub fn delete<K: Listed + Meta>(object: &K, view: &View, grace: Option<i64>) -> Change {
    Change::Delete { key: key(object, view), uid: object.uid().to_owned(), propagation: Propagation::Background, grace }
}
