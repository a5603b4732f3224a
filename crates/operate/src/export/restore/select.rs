//! Which objects of an export are restored: all, or those of some namespaces and what these need. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::mapping::{Class, Mapping};
use crate::export::ExportError;
use crate::export::files::{Export, Key};

/// What is restored, and as what.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Only these namespaces of the files, and those that are mapped; all if there are none of either.
    pub namespaces: BTreeSet<String>,
    /// What is called differently where it is restored.
    pub mapping: Mapping,
}

impl Request {
    /// Whether only a part is restored: then what all namespaces share is made where it is missing, and never changed.
    pub fn is_part(&self) -> bool {
        !self.namespaces.is_empty() || !self.mapping.namespaces.is_empty()
    }

    /// Whether objects of a namespace are restored.
    pub fn concerns(&self, namespace: &str) -> bool {
        !self.is_part() || self.wants(namespace)
    }

    fn wants(&self, namespace: &str) -> bool {
        self.namespaces.contains(namespace) || self.mapping.namespaces.contains_key(namespace)
    }

    /// The objects that are restored, as they are to be.
    ///
    /// # Errors
    /// When a namespace is not in the files, or two objects would become the same.
    pub fn select(&self, export: Export) -> Result<BTreeMap<Key, Value>, ExportError> {
        let files = export.by_key()?;
        for name in self.namespaces.iter().chain(self.mapping.namespaces.keys()) {
            let is_there = files.keys().any(|key| key.namespace.as_ref() == Some(name) || is_namespace(key, name));
            if !is_there {
                return Err(ExportError::NotInFiles(name.clone()));
            }
        }
        let needed = if self.is_part() { self.needed(&files) } else { BTreeSet::new() };
        let mut found: BTreeMap<Key, Value> = BTreeMap::new();
        for (_, mut object) in export.objects {
            let key = Key::of(&object);
            let chosen = match &key.namespace {
                _ if !self.is_part() => true,
                Some(namespace) => self.wants(namespace),
                None => is_wanted_namespace(self, &key) || needed.contains(&key),
            };
            if !chosen {
                continue;
            }
            self.mapping.apply(&mut object);
            let new = Key::of(&object);
            if found.insert(new.clone(), object).is_some() {
                return Err(ExportError::Twice(new));
            }
        }
        Ok(found)
    }

    /// Cluster-wide objects without which those of the chosen namespaces are not what they were.
    fn needed(&self, files: &BTreeMap<Key, &Value>) -> BTreeSet<Key> {
        let chosen: Vec<(&Key, &Value)> = files
            .iter()
            .filter(|(key, _)| key.namespace.as_deref().is_some_and(|namespace| self.wants(namespace)))
            .map(|(key, object)| (key, *object))
            .collect();
        let mut names = BTreeSet::new();
        for (_, object) in &chosen {
            named(object, &mut names);
        }
        let kinds: BTreeSet<(&str, &str)> =
            chosen.iter().map(|(key, _)| (key.group.as_str(), key.kind.as_str())).collect();
        let wide = files.iter().filter(|(key, _)| key.namespace.is_none());
        let mut needed: BTreeSet<Key> = wide
            .clone()
            .filter(|(key, object)| match key.kind.as_str() {
                "CustomResourceDefinition" => {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let (group, kind) = (text(&object["spec"]["group"]), text(&object["spec"]["names"]["kind"]));
                    kinds.contains(&(group.as_str(), kind.as_str()))
                }
                "PersistentVolume" => {
                    object["spec"]["claimRef"]["namespace"].as_str().is_some_and(|namespace| self.wants(namespace))
                        || names.contains(&(key.kind.clone(), key.name.clone()))
                }
                "ClusterRoleBinding" => {
                    let subjects = object["subjects"].as_array().into_iter().flatten();
                    let mut of = subjects.filter_map(|subject| subject["namespace"].as_str());
                    of.any(|namespace| self.wants(namespace))
                }
                _ => names.contains(&(key.kind.clone(), key.name.clone())),
            })
            .map(|(key, _)| key.clone())
            .collect();
        // What those need in turn: roles of bindings, classes of volumes.
        let mut more = BTreeSet::new();
        needed.iter().filter_map(|key| files.get(key)).for_each(|object| named(object, &mut more));
        needed.extend(
            wide.map(|(key, _)| key).filter(|key| more.contains(&(key.kind.clone(), key.name.clone()))).cloned(),
        );
        needed
    }
}

fn is_namespace(key: &Key, name: &str) -> bool {
    key.group.is_empty() && key.kind == "Namespace" && key.name == name
}

fn is_wanted_namespace(request: &Request, key: &Key) -> bool {
    key.group.is_empty() && key.kind == "Namespace" && request.wants(&key.name)
}

/// Kinds and names of cluster-wide objects that an object refers to.
fn named(value: &Value, found: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| named(item, found)),
        Value::Object(fields) => {
            for (field, value) in fields {
                if let Some(class) = Class::of_field(field)
                    && let Some(name) = value.as_str()
                {
                    found.insert((class.objects().0.to_owned(), name.to_owned()));
                } else if field == "volumeName"
                    && let Some(name) = value.as_str()
                {
                    found.insert(("PersistentVolume".to_owned(), name.to_owned()));
                } else if field == "roleRef" && value["kind"] == "ClusterRole" {
                    let name = value["name"].as_str().unwrap_or_default();
                    found.insert(("ClusterRole".to_owned(), name.to_owned()));
                } else {
                    named(value, found);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    fn export() -> Export {
        let objects = [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "other"}}),
            json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"},
                "spec": {"storageClassName": "fast"}}),
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "widgets.example.com"},
                "spec": {"group": "example.com", "names": {"kind": "Widget"}}}),
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}),
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "slow"}}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"},
                "subjects": [{"kind": "ServiceAccount", "namespace": "shop", "name": "x"}]}),
        ];
        let mut export = Export::default();
        let objects = objects.into_iter().enumerate().map(|(number, value)| (PathBuf::from(number.to_string()), value));
        export.objects.extend(objects);
        export
    }

    fn names(request: &Request) -> Vec<String> {
        request.select(export()).unwrap().keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_namespace_comes_with_what_it_needs() {
        assert_eq!(names(&Request::default()).len(), 10);
        let request = Request { namespaces: BTreeSet::from(["shop".to_owned()]), ..Request::default() };
        let expected = [
            "_cluster/namespace/shop",
            "_cluster/customresourcedefinition/widgets.example.com",
            "_cluster/clusterrole/r",
            "_cluster/clusterrolebinding/b",
            "_cluster/storageclass/fast",
            "shop/configmap/a",
            "shop/widget.example.com/w",
        ];
        assert_eq!(names(&request), expected);
    }

    #[test]
    fn two_objects_never_become_one() {
        let mapping =
            Mapping { namespaces: BTreeMap::from([("shop".to_owned(), "other".to_owned())]), ..Mapping::default() };
        let both = Request { namespaces: BTreeSet::from(["other".to_owned()]), mapping: mapping.clone() };
        let error = both.select(export()).unwrap_err().to_string();
        assert!(error.contains("two objects of the files would become"), "{error}");
        let one = Request { mapping, ..Request::default() };
        assert!(names(&one).contains(&"other/configmap/a".to_owned()));
        let missing = Request { namespaces: BTreeSet::from(["nowhere".to_owned()]), ..Request::default() };
        assert!(missing.select(export()).unwrap_err().to_string().contains("nowhere"));
    }
}
