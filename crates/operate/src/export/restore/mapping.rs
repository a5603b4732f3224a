//! What must change when objects come into another namespace, or into a cluster with other classes. Pure.
//!
//! Fields that are references are changed. Text that only mentions a namespace (a host name in an environment variable or
//! a ConfigMap) is not: nobody but its author knows what it means. It is listed.

use std::collections::BTreeMap;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regex::Regex;
use serde_json::Value;

/// A cluster-wide class that objects name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Of claims and volumes.
    Storage,
    /// Of ingresses.
    Ingress,
    /// Of pods' priority.
    Priority,
    /// Of pods' runtime.
    Runtime,
}

impl Class {
    pub(super) const ALL: [Self; 4] = [Self::Storage, Self::Ingress, Self::Priority, Self::Runtime];

    /// As it is written before the name: `storage/fast`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Ingress => "ingress",
            Self::Priority => "priority",
            Self::Runtime => "runtime",
        }
    }

    /// The field that names it.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Storage => "storageClassName",
            Self::Ingress => "ingressClassName",
            Self::Priority => "priorityClassName",
            Self::Runtime => "runtimeClassName",
        }
    }

    /// Its objects' kind, and where they are listed.
    pub(super) fn objects(self) -> (&'static str, &'static str) {
        match self {
            Self::Storage => ("StorageClass", "/apis/storage.k8s.io/v1/storageclasses"),
            Self::Ingress => ("IngressClass", "/apis/networking.k8s.io/v1/ingressclasses"),
            Self::Priority => ("PriorityClass", "/apis/scheduling.k8s.io/v1/priorityclasses"),
            Self::Runtime => ("RuntimeClass", "/apis/node.k8s.io/v1/runtimeclasses"),
        }
    }

    pub(super) fn of_field(field: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.field() == field)
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = Self::ALL.map(Self::word).join(", ");
        Self::ALL.into_iter().find(|class| class.word() == text).ok_or_else(|| format!("a class is one of {all}"))
    }
}

/// What is called differently where objects are restored.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// Namespaces, by their names in the files.
    pub namespaces: BTreeMap<String, String>,
    /// Classes, by kind and their names in the files.
    pub classes: BTreeMap<(Class, String), String>,
}

/// Fields whose content is text for somebody else, in which `namespace` may mean anything.
const TEXT: &[&str] =
    &["data", "stringData", "binaryData", "annotations", "labels", "matchLabels", "nodeSelector", "env", "args"];
/// The label by which namespaces are selected by name (KEP-2161).
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Mapping {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty() && self.classes.is_empty()
    }

    /// Changes an object's references.
    pub fn apply(&self, object: &mut Value) {
        if object["kind"] == "Namespace" && object["apiVersion"] == "v1" {
            self.rename(&mut object["metadata"]["name"]);
        }
        self.walk(object);
    }

    fn walk(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut().filter(|(name, _)| !TEXT.contains(&name.as_str())) {
                    self.field(name, value);
                }
                let account = fields.get("kind").is_some_and(|kind| kind == "User" || kind == "Group");
                if account && let Some(name) = fields.get_mut("name") {
                    self.account(name);
                }
            }
            _ => {}
        }
    }

    fn field(&self, name: &str, value: &mut Value) {
        match (name, &mut *value) {
            ("namespace", Value::String(_)) => self.rename(value),
            ("namespaces", Value::Array(items)) if items.iter().all(Value::is_string) => {
                items.iter_mut().for_each(|item| self.rename(item));
            }
            ("namespaceSelector", _) => self.selector(value),
            // Of volumes.
            ("secretNamespace" | "endpointsNamespace", Value::String(_)) => self.rename(value),
            ("externalName", Value::String(host)) => *host = self.host(host),
            (_, Value::String(class)) => {
                let known = Class::of_field(name).and_then(|kind| self.classes.get(&(kind, class.clone())));
                if let Some(new) = known {
                    *class = new.clone();
                }
            }
            _ => self.walk(value),
        }
    }

    /// `SERVICE.NAMESPACE.svc`, and what may follow.
    fn host(&self, host: &str) -> String {
        let mut labels: Vec<&str> = host.split('.').collect();
        if let Some(at) = labels.iter().position(|label| *label == "svc").and_then(|at| at.checked_sub(1))
            && at > 0
            && let Some(new) = self.namespaces.get(labels[at])
        {
            labels[at] = new;
        }
        labels.join(".")
    }

    fn rename(&self, name: &mut Value) {
        if let Some(new) = name.as_str().and_then(|name| self.namespaces.get(name)) {
            *name = new.as_str().into();
        }
    }

    fn selector(&self, selector: &mut Value) {
        if let Some(name) = selector.get_mut("matchLabels").and_then(|labels| labels.get_mut(NAME_LABEL)) {
            self.rename(name);
        }
        let expressions = selector.get_mut("matchExpressions").and_then(Value::as_array_mut).into_iter().flatten();
        for expression in expressions.filter(|expression| expression["key"] == NAME_LABEL) {
            let values = expression.get_mut("values").and_then(Value::as_array_mut).into_iter().flatten();
            values.for_each(|value| self.rename(value));
        }
    }

    /// `system:serviceaccount:NAMESPACE:NAME` and `system:serviceaccounts:NAMESPACE`.
    fn account(&self, name: &mut Value) {
        let Some(text) = name.as_str() else { return };
        for (old, new) in &self.namespaces {
            let renamed = match text.strip_prefix(&format!("system:serviceaccount:{old}:")) {
                Some(rest) => format!("system:serviceaccount:{new}:{rest}"),
                None if text == format!("system:serviceaccounts:{old}") => format!("system:serviceaccounts:{new}"),
                None => continue,
            };
            *name = renamed.into();
            return;
        }
    }

    /// Where text mentions an old namespace: paths of fields, after [`Self::apply`].
    pub fn mentions(&self, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for old in self.namespaces.keys() {
            let old = regex::escape(old);
            let text = format!(
                r#"(?:^|[^a-z0-9.-])(?:[a-z0-9-]+\.)+{old}(?:\.svc\b|$|[:/"'\s])|(?i:namespace)\S{{0,3}}[=:\s]\s*"?{old}\b|^{old}$"#
            );
            // A namespace's name is a DNS label: escaped, it is always a pattern.
            if let Ok(pattern) = Regex::new(&text) {
                look(object, &mut Vec::new(), Inside::Fields, &pattern, &mut found);
            }
        }
        found
    }
}

/// Fields that are the object's own names and choices: `shop` as a label's value is no namespace.
const NAMES: &[&str] = &["metadata", "labels", "matchLabels", "selector", "name", "namespace", "namespaces", "image"];

/// What kind of map a field is in.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    /// An object with the fields of its kind.
    Fields,
    /// Text by free keys.
    Text,
    /// The same, in base64.
    Encoded,
}

fn look(value: &Value, path: &mut Vec<String>, inside: Inside, pattern: &Regex, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let decoded = (inside == Inside::Encoded).then(|| BASE64_STANDARD.decode(text).ok()).flatten();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            if pattern.is_match(decoded.as_ref().unwrap_or(text)) {
                found.push(path.concat().trim_start_matches('.').to_owned());
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                let step = item["name"].as_str().map_or_else(|| format!("[{number}]"), |name| format!("[name={name}]"));
                path.push(step);
                look(item, path, inside, pattern, found);
                path.pop();
            }
        }
        Value::Object(fields) => {
            let secret = fields.get("kind").is_some_and(|kind| kind == "Secret");
            for (name, mut value) in fields {
                let mut step = if name.contains(['.', '/']) { format!("[{name}]") } else { format!(".{name}") };
                let mut then = match name.as_str() {
                    "data" if secret => Inside::Encoded,
                    "data" | "stringData" => Inside::Text,
                    _ => inside,
                };
                if inside == Inside::Fields && name == "metadata" && value["annotations"].is_object() {
                    (step, value, then) = (".metadata.annotations".to_owned(), &value["annotations"], Inside::Text);
                } else if inside == Inside::Fields && NAMES.contains(&name.as_str()) {
                    continue;
                }
                path.push(step);
                look(value, path, then, pattern, found);
                path.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping() -> Mapping {
        Mapping {
            namespaces: BTreeMap::from([("shop".to_owned(), "copy".to_owned())]),
            classes: BTreeMap::from([((Class::Storage, "fast".to_owned()), "standard".to_owned())]),
        }
    }

    #[track_caller]
    fn becomes(before: Value, after: Value) {
        let mut object = before;
        mapping().apply(&mut object);
        assert_eq!(object, after);
    }

    #[test]
    fn references_change() {
        becomes(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "copy"}}),
        );
        becomes(
            json!({"kind": "RoleBinding", "metadata": {"name": "shop", "namespace": "shop"}, "subjects": [
                {"kind": "ServiceAccount", "name": "shop", "namespace": "shop"},
                {"kind": "User", "name": "system:serviceaccount:shop:ci"},
                {"kind": "Group", "name": "system:serviceaccounts:shop"},
                {"kind": "User", "name": "shop"}]}),
            json!({"kind": "RoleBinding", "metadata": {"name": "shop", "namespace": "copy"}, "subjects": [
                {"kind": "ServiceAccount", "name": "shop", "namespace": "copy"},
                {"kind": "User", "name": "system:serviceaccount:copy:ci"},
                {"kind": "Group", "name": "system:serviceaccounts:copy"},
                {"kind": "User", "name": "shop"}]}),
        );
        becomes(
            json!({"webhooks": [{"clientConfig": {"service": {"name": "a", "namespace": "shop"}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop", "a": "shop"},
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "b"]}]}}]}),
            json!({"webhooks": [{"clientConfig": {"service": {"name": "a", "namespace": "copy"}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "copy", "a": "shop"},
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["copy", "b"]}]}}]}),
        );
        becomes(
            json!({"spec": {"externalName": "db.shop.svc.cluster.local", "claimRef": {"namespace": "shop"},
                "podAffinityTerm": {"namespaces": ["shop", "b"]}, "storageClassName": "fast"}}),
            json!({"spec": {"externalName": "db.copy.svc.cluster.local", "claimRef": {"namespace": "copy"},
                "podAffinityTerm": {"namespaces": ["copy", "b"]}, "storageClassName": "standard"}}),
        );
    }

    #[test]
    fn names_can_be_exchanged() {
        let namespaces = [("a", "b"), ("b", "a")].map(|(old, new)| (old.to_owned(), new.to_owned()));
        let mapping = Mapping { namespaces: BTreeMap::from(namespaces), ..Mapping::default() };
        let mut object = json!({"metadata": {"namespace": "a"}, "spec": {"externalName": "x.b.svc.cluster.local",
            "azureFile": {"secretNamespace": "b"}, "namespaces": ["a", "b", "c"]}});
        mapping.apply(&mut object);
        assert_eq!(
            object,
            json!({"metadata": {"namespace": "b"}, "spec": {"externalName": "x.a.svc.cluster.local",
                "azureFile": {"secretNamespace": "a"}, "namespaces": ["b", "a", "c"]}})
        );
        let outside = json!({"spec": {"externalName": "a.svc"}});
        let mut same = outside.clone();
        mapping.apply(&mut same);
        assert_eq!(same, outside, "it names no service of a namespace");
    }

    #[test]
    fn text_is_left_alone_and_told() {
        let object = json!({"kind": "ConfigMap", "metadata": {"name": "shop", "labels": {"app": "shop"},
            "annotations": {"url": "http://web.shop.svc/"}},
            "data": {"namespace": "shop", "db": "host=db.shop.svc.cluster.local", "short": "db.shop:5432",
                "words": "the shop is open", "site": "www.shop.example", "flag": "--namespace=shop"}});
        let mut mapped = object.clone();
        mapping().apply(&mut mapped);
        assert_eq!(mapped, object);
        assert_eq!(
            mapping().mentions(&object),
            ["data.db", "data.flag", "data.namespace", "data.short", "metadata.annotations.url"]
        );
        let secret = json!({"kind": "Secret", "data": {"dsn": BASE64_STANDARD.encode("db.shop.svc"), "a": "!"}});
        assert_eq!(mapping().mentions(&secret), ["data.dsn"]);
        let pod = json!({"spec": {"containers": [{"name": "web", "env": [{"name": "NS", "value": "shop"}]}]}});
        assert_eq!(mapping().mentions(&pod), ["spec.containers[name=web].env[name=NS].value"]);
    }

    #[test]
    fn there_and_back_is_the_same() {
        let object =
            json!({"metadata": {"namespace": "shop"}, "spec": {"storageClassName": "fast", "namespace": "shop"}});
        let mut mapped = object.clone();
        mapping().apply(&mut mapped);
        let back = Mapping {
            namespaces: BTreeMap::from([("copy".to_owned(), "shop".to_owned())]),
            classes: BTreeMap::from([((Class::Storage, "standard".to_owned()), "fast".to_owned())]),
        };
        back.apply(&mut mapped);
        assert_eq!(mapped, object);
    }
}
