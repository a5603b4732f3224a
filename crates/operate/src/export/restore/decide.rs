//! Decides what is done about an object, and in which order. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Action, Step};
use crate::export::Secrets;
use crate::export::clean::{LAST_APPLIED, OMITTED, clean, hide};
use crate::export::compare::{Live, differences, merge_patch};
use crate::export::files::Key;
use crate::export::kinds::Kind;

/// A file's object as it is sent: also of a raw export only what somebody meant. What is clean already is meant as it is.
pub(super) fn prepared(key: &Key, file: &Value) -> Value {
    let mut object = file.clone();
    if !object["metadata"]["uid"].is_null() {
        clean(&mut object, &mut BTreeSet::new());
    }
    if key.is_secret()
        && let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(OMITTED);
    }
    object
}

/// Decides what is done about an object.
pub fn decide(key: &Key, file: &Value, live: Option<&Live>) -> Action {
    let without_values = lacks_values(key, file);
    let Some(live) = live else {
        return match without_values {
            true => Action::Skip("its values are not in the files: create it, or export with --secrets plain"),
            false => Action::Create,
        };
    };
    if live.short.as_ref() == Some(file) {
        return Action::Nothing;
    }
    let (mut wanted, mut there) = (prepared(key, file), live.value.clone());
    if without_values {
        // Its values are whatever they are.
        hide(&mut there, Secrets::Omit);
        there = prepared(key, &there);
    }
    for object in [&mut wanted, &mut there] {
        drop_empty_annotations(object);
    }
    let differences = differences(key, &wanted, &there, &live.managed);
    if differences.is_empty() {
        return Action::Nothing;
    }
    Action::Change { patch: merge_patch(&there, &wanted), differences }
}

/// The object with kubectl's record of what was applied, where that is how the next export knows which of the values that
/// controllers may assign were chosen.
pub(super) fn remembering(step: &Step) -> Value {
    let mut object = step.object.clone();
    if step.key.group.is_empty()
        && matches!(step.key.kind.as_str(), "Service" | "Pod")
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations[LAST_APPLIED] = step.object.to_string().into();
    }
    object
}

pub(super) fn lacks_values(key: &Key, file: &Value) -> bool {
    key.is_secret() && !file["metadata"]["annotations"][OMITTED].is_null()
}

fn drop_empty_annotations(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if metadata.get("annotations").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
        metadata.remove("annotations");
    }
}

/// The kind that a definition in the files brings.
pub(super) fn defined(object: &Value) -> Option<Kind> {
    if Key::of(object).kind != "CustomResourceDefinition" {
        return None;
    }
    let spec = &object["spec"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let served = spec["versions"].as_array()?.iter().find(|version| version["served"] == true)?;
    Some(Kind {
        group: text(&spec["group"])?,
        version: text(&served["name"])?,
        plural: text(&spec["names"]["plural"])?,
        singular: String::new(),
        short: Vec::new(),
        kind: text(&spec["names"]["kind"])?,
        namespaced: spec["scope"] == "Namespaced",
        creatable: true,
    })
}

/// What must be there before what: smaller ones first.
pub fn rank(key: &Key) -> u8 {
    match (key.group.as_str(), key.kind.as_str()) {
        ("apiextensions.k8s.io", _) => 0,
        ("", "Namespace") => 1,
        ("scheduling.k8s.io" | "storage.k8s.io" | "node.k8s.io", _) | ("networking.k8s.io", "IngressClass") => 2,
        ("", "PersistentVolume") => 3,
        ("", "ServiceAccount") => 4,
        ("", "ConfigMap" | "Secret") => 5,
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => 6,
        ("rbac.authorization.k8s.io", _) => 7,
        ("", "LimitRange" | "ResourceQuota") => 8,
        ("", "PersistentVolumeClaim") => 9,
        ("networking.k8s.io" | "policy", _) => 10,
        ("", "Service" | "Endpoints") | ("discovery.k8s.io", _) => 11,
        ("" | "apps" | "batch", _) => 12,
        ("autoscaling", _) => 13,
        // From here on each write would ask a program that may not run yet.
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 15,
        _ => 14,
    }
}

/// A list is replaced as a whole: ports that stay keep the node ports that they have.
pub(super) fn keep_node_ports(patch: &mut Value, live: &Value) {
    let known = live["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let ports = patch.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter(|port| port["nodePort"].is_null()) {
        let same = known.iter().find(|known| known["port"] == port["port"] && known["protocol"] == port["protocol"]);
        if let Some(number) = same.map(|same| &same["nodePort"]).filter(|number| !number.is_null()) {
            port["nodePort"] = json!(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(value: Value) -> Live {
        Live { value, short: None, managed: Value::Null }
    }

    fn secret(metadata: Value, data: Value) -> Value {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"});
        if !data.is_null() {
            secret["data"] = data;
        }
        secret
    }

    #[test]
    fn what_needs_something_comes_after_it() {
        let order = [
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("", "Namespace"),
            ("storage.k8s.io", "StorageClass"),
            ("", "PersistentVolume"),
            ("", "ServiceAccount"),
            ("", "Secret"),
            ("rbac.authorization.k8s.io", "Role"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("", "PersistentVolumeClaim"),
            ("apps", "Deployment"),
            ("autoscaling", "HorizontalPodAutoscaler"),
            ("example.com", "Widget"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ];
        let ranks: Vec<u8> = order
            .iter()
            .map(|(group, kind)| {
                let (group, kind) = ((*group).to_owned(), (*kind).to_owned());
                rank(&Key { namespace: None, group, kind, name: String::new() })
            })
            .collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }

    #[test]
    fn only_what_differs_is_changed() {
        let map = |value: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"},
                "data": {"k": value}})
        };
        let key = Key::of(&map("1"));
        assert_eq!(decide(&key, &map("1"), None), Action::Create);
        assert_eq!(decide(&key, &map("1"), Some(&live(map("1")))), Action::Nothing);
        let Action::Change { patch, .. } = decide(&key, &map("1"), Some(&live(map("2")))) else {
            panic!("it differs");
        };
        assert_eq!(patch, json!({"data": {"k": "1"}}));
    }

    #[test]
    fn a_raw_file_is_cleaned_before_it_is_sent() {
        let raw = json!({"apiVersion": "v1", "kind": "ConfigMap", "status": {},
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "3"}});
        assert_eq!(
            prepared(&Key::of(&raw), &raw),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        );
        let chosen = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80, "nodePort": 30001}]}});
        assert_eq!(prepared(&Key::of(&chosen), &chosen), chosen, "what stands in a clean file was chosen");
    }

    #[test]
    fn a_secret_without_values_keeps_what_the_cluster_has() {
        let file = secret(json!({"name": "a", "annotations": {OMITTED: "password"}}), Value::Null);
        let key = Key::of(&file);
        assert!(matches!(decide(&key, &file, None), Action::Skip(_)));
        let there = secret(json!({"name": "a"}), json!({"password": "eA=="}));
        assert_eq!(decide(&key, &file, Some(&live(there))), Action::Nothing);
        let labelled = secret(json!({"name": "a", "labels": {"x": "y"}}), json!({"password": "eA=="}));
        let Action::Change { patch, .. } = decide(&key, &file, Some(&live(labelled))) else { panic!("it differs") };
        assert_eq!(patch, json!({"metadata": {"labels": null}}));
    }

    #[test]
    fn a_definition_brings_its_kind() {
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1alpha1", "served": false}, {"name": "v1", "served": true}]}});
        let kind = defined(&definition).unwrap();
        assert_eq!(kind.path(Some("shop")), "/apis/example.com/v1/namespaces/shop/widgets");
        assert_eq!(defined(&json!({"kind": "ConfigMap"})), None);
    }

    #[test]
    fn ports_that_stay_keep_their_node_ports() {
        let live = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30001}]}});
        let mut patch = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]}});
        keep_node_ports(&mut patch, &live);
        assert_eq!(patch["spec"]["ports"][0]["nodePort"], 30001);
        assert!(patch["spec"]["ports"][1].get("nodePort").is_none());
    }
}
