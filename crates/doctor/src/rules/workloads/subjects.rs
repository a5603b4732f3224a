//! Whom a message is about.

use std::collections::BTreeMap;

use crate::finding::Place;
use crate::read::{Message, Pod};

/// The pod of a message.
pub(super) fn pod_of(message: &Message) -> Place {
    object("Pod", &message.pod.0, &message.pod.1, "")
}

/// A field of a pod.
pub(super) fn pod(pod: &Pod, field: impl Into<String>) -> Place {
    object("Pod", &pod.namespace, &pod.name, field)
}

/// An object of the API, or a field of it.
pub(super) fn object(kind: &str, namespace: &str, name: &str, field: impl Into<String>) -> Place {
    Place::Object { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned(), field: field.into() }
}

/// `ns/name`, `name`, or a word where the name is not told.
pub(super) fn named(namespace: &str, name: &str, otherwise: &str) -> String {
    match (namespace, name) {
        (_, "") => otherwise.to_owned(),
        ("", name) => format!("`{name}`"),
        (namespace, name) => format!("`{namespace}/{name}`"),
    }
}

/// ` -n NAMESPACE` for a command line; nothing when the namespace is not known.
pub(super) fn in_namespace(namespace: &str) -> String {
    if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") }
}

/// Messages by what they are about, in order.
pub(super) fn grouped<'a, K: Ord>(
    messages: impl IntoIterator<Item = (K, &'a Message)>,
) -> BTreeMap<K, Vec<&'a Message>> {
    let mut groups: BTreeMap<K, Vec<&'a Message>> = BTreeMap::new();
    for (key, message) in messages {
        groups.entry(key).or_default().push(message);
    }
    groups
}

/// Names pods of messages: the first, and how many more.
pub(super) fn pods_of(messages: &[&Message]) -> String {
    let mut pods: Vec<&(String, String)> = messages.iter().map(|message| &message.pod).collect();
    pods.sort();
    pods.dedup();
    let first = pods.first().map(|(namespace, name)| named(namespace, name, "")).unwrap_or_default();
    match (first.is_empty(), pods.len()) {
        (true, _) => "the pod".to_owned(),
        (false, 1) => format!("pod {first}"),
        (false, count) => format!("pod {first} and {} more", count - 1),
    }
}
