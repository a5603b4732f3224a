//! Secrets and ConfigMaps that pods ask for.

use std::sync::LazyLock;

use regex::Regex;

use crate::near::nearest;
use crate::read::existing::Existing;
use crate::read::{Message, Read};

/// A Secret or ConfigMap that a message says is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Missing {
    /// `Secret` or `ConfigMap`.
    pub(super) kind: &'static str,
    /// Namespace of the pod; empty when not told.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
}

/// What other evidence says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// It is there, and was when the message was written.
    Exists,
    /// It was made after the message.
    Made,
    /// Somebody looked, and it is not there.
    Absent,
}

static NOT_FOUND: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b(secret|configmap) "([^"]+)" not found"#).ok());
static NOT_REGISTERED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"object "([^"]+)"/"([^"]+)" not registered"#).ok());

/// The Secret or ConfigMap that a message misses.
pub(super) fn missing(message: &Message) -> Option<Missing> {
    if message.text.contains("image pull secret") || message.text.contains("imagePullSecret") {
        return None;
    }
    let found = NOT_FOUND.as_ref()?.captures(&message.text)?;
    let kind = if found[1].eq_ignore_ascii_case("secret") { "Secret" } else { "ConfigMap" };
    let (namespace, name) = found[2].rsplit_once('/').unwrap_or(("", &found[2]));
    let namespace = if namespace.is_empty() { message.pod.0.clone() } else { namespace.to_owned() };
    Some(Missing { kind, namespace, name: name.to_owned() })
}

/// The object that the kubelet does not follow.
pub(super) fn not_registered(message: &Message) -> Option<(String, String)> {
    let found = NOT_REGISTERED.as_ref()?.captures(&message.text)?;
    Some((found[1].to_owned(), found[2].to_owned()))
}

/// The namespace of a pod that an earlier event names (`Successfully assigned ops/web-1 to n1`).
pub(super) fn namespace_of(read: &Read, message: &Message) -> Option<String> {
    if !message.pod.0.is_empty() {
        return Some(message.pod.0.clone());
    }
    let assigned = read.messages.iter().filter(|other| other.item == message.item);
    assigned
        .filter_map(|other| Some(other.text.strip_prefix("Successfully assigned ")?.split_once('/')?.0))
        .next()
        .map(str::to_owned)
}

impl Missing {
    fn fits(&self, existing: &Existing) -> bool {
        let namespace = existing.namespace.as_deref().unwrap_or_default();
        existing.kind == self.kind && (namespace.is_empty() || self.namespace.is_empty() || namespace == self.namespace)
    }

    /// What other evidence says about it.
    pub(super) fn known(&self, read: &Read, age: Option<u64>) -> Known {
        let found = read.existing.iter().find(|one| self.fits(one) && one.name == self.name);
        if let Some(found) = found {
            let made_later = found.age.zip(age).is_some_and(|(made, said)| made < said);
            return if made_later { Known::Made } else { Known::Exists };
        }
        let plural = format!("{}s \"{}\" not found", self.kind.to_lowercase(), self.name);
        if read.messages.iter().any(|message| message.text.contains(&plural)) { Known::Absent } else { Known::Nothing }
    }

    /// Another namespace in which there is one of that name.
    pub(super) fn elsewhere<'a>(&self, read: &'a Read) -> Option<&'a str> {
        let mut same = read.existing.iter().filter(|one| one.kind == self.kind && one.name == self.name);
        same.find_map(|one| one.namespace.as_deref())
    }

    /// One with nearly the same name.
    pub(super) fn near<'a>(&self, read: &'a Read) -> Option<&'a str> {
        nearest(&self.name, read.existing.iter().filter(|one| self.fits(one)).map(|one| one.name.as_str()))
    }
}
