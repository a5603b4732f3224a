//! The kinds that an API serves, as its discovery tells them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// A kind that can be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group; empty for the core.
    pub group: String,
    /// The version in which it is read.
    pub version: String,
    /// Such as `deployments`.
    pub plural: String,
    /// Such as `deployment`.
    pub singular: String,
    /// Such as `deploy`.
    pub short: Vec<String>,
    /// Such as `Deployment`.
    pub kind: String,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
    /// Whether its objects can be created.
    pub creatable: bool,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Where its objects are listed and created: in a namespace, or everywhere.
    pub fn path(&self, namespace: Option<&str>) -> String {
        self.path_in(&self.api_version(), namespace)
    }

    /// The same in another version.
    pub fn path_in(&self, api_version: &str, namespace: Option<&str>) -> String {
        let root = if api_version.contains('/') { "/apis" } else { "/api" };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{api_version}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{api_version}/{}", self.plural),
        }
    }

    /// Where one of its objects is, in a version.
    pub fn path_of(&self, api_version: &str, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{}", self.path_in(api_version, namespace), utf8_percent_encode(name, NON_ALPHANUMERIC))
    }

    /// Gives an item of a list the kind and version that the list has for all.
    pub(super) fn stamp(&self, item: &mut Value) {
        item["apiVersion"] = self.api_version().into();
        item["kind"] = self.kind.as_str().into();
    }

    /// As people name it to kubectl: `services`, `deployments.apps`.
    pub fn shown(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The name of its folder. It must not depend on what else is installed, so only Kubernetes' own groups go without
    /// theirs.
    pub fn folder(&self) -> String {
        folder(&self.group, &self.kind)
    }

    /// Whether somebody who writes this name means it.
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let (first, group) = name.split_once('.').map_or((name.as_str(), None), |(first, group)| (first, Some(group)));
        let named = first == self.plural
            || first == self.singular
            || first == self.kind.to_lowercase()
            || self.short.iter().any(|short| short == first);
        named && group.is_none_or(|group| group == self.group)
    }
}

/// The folder of a kind's files.
pub fn folder(group: &str, kind: &str) -> String {
    let own = matches!(group, "" | "apps" | "autoscaling" | "batch" | "policy")
        || group.strip_suffix(".k8s.io").is_some_and(|first| OWN.contains(&first));
    let kind = kind.to_lowercase();
    if own { kind } else { format!("{kind}.{group}") }
}

/// Kubernetes' own groups below `.k8s.io`. `events` is not among them: the same objects are in the core.
const OWN: &[&str] = &[
    "admissionregistration",
    "apiextensions",
    "apiregistration",
    "certificates",
    "coordination",
    "discovery",
    "flowcontrol.apiserver",
    "networking",
    "node",
    "rbac.authorization",
    "resource",
    "scheduling",
    "storage",
    "storagemigration",
];

/// Group versions of `/apis`, each group's preferred one first.
pub(super) fn group_versions(groups: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for group in groups["groups"].as_array().into_iter().flatten() {
        let preferred = group["preferredVersion"]["groupVersion"].as_str();
        let all = group["versions"].as_array().into_iter().flatten();
        let all = all.filter_map(|version| version["groupVersion"].as_str());
        for version in preferred.into_iter().chain(all) {
            if !found.iter().any(|one| one == version) {
                found.push(version.to_owned());
            }
        }
    }
    found
}

/// Adds the kinds of one `APIResourceList` that can be listed and are not known yet.
pub(super) fn add(kinds: &mut Vec<Kind>, group_version: &str, resources: &Value) {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    for resource in resources["resources"].as_array().into_iter().flatten() {
        let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
        let can = |verb: &str| resource["verbs"].as_array().is_some_and(|verbs| verbs.iter().any(|one| one == verb));
        let (plural, kind) = (text("name"), text("kind"));
        let known = kinds.iter().any(|known| known.group == group && known.kind == kind);
        if plural.is_empty() || plural.contains('/') || kind.is_empty() || known || !can("list") {
            continue;
        }
        let short = resource["shortNames"].as_array().into_iter().flatten();
        kinds.push(Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            singular: text("singularName"),
            short: short.filter_map(|one| one.as_str().map(str::to_owned)).collect(),
            namespaced: resource["namespaced"] == true,
            creatable: can("create"),
            plural,
            kind,
        });
    }
}

/// Why a kind is left out unless somebody asks for it.
pub(super) fn omitted(kind: &Kind) -> Option<&'static str> {
    if !kind.creatable {
        return Some("it can be read only");
    }
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("" | "events.k8s.io", "Event") => Some("events pass"),
        ("", "Node") => Some("nodes register themselves"),
        ("coordination.k8s.io", _) => Some("leases are the heartbeat of running programs"),
        ("certificates.k8s.io", "CertificateSigningRequest") => Some("requests for certificates pass"),
        ("networking.k8s.io", "IPAddress") => Some("the API server assigns addresses to services"),
        ("storage.k8s.io", "CSINode" | "CSIStorageCapacity" | "VolumeAttachment") => Some("storage drivers make it"),
        ("resource.k8s.io", "ResourceSlice") => Some("device drivers make it"),
        ("internal.apiserver.k8s.io", _) => Some("API servers keep it for themselves"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployments() -> Vec<Kind> {
        let mut kinds = Vec::new();
        let resources = json!({"resources": [
            {"name": "deployments", "singularName": "deployment", "kind": "Deployment", "namespaced": true,
             "shortNames": ["deploy"], "verbs": ["create", "list"]},
            {"name": "deployments/scale", "kind": "Scale", "namespaced": true, "verbs": ["get"]},
            {"name": "others", "kind": "Other", "namespaced": true, "verbs": ["create"]},
        ]});
        add(&mut kinds, "apps/v1", &resources);
        add(&mut kinds, "apps/v1beta1", &resources);
        kinds
    }

    #[test]
    fn a_kind_is_read_in_one_version() {
        let kinds = deployments();
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0].path(Some("shop")), "/apis/apps/v1/namespaces/shop/deployments");
        assert_eq!(kinds[0].path(None), "/apis/apps/v1/deployments");
    }

    #[test]
    fn kinds_have_the_names_that_kubectl_knows() {
        let kind = &deployments()[0];
        for name in ["deployments", "deployment", "Deployment", "deploy", "deployments.apps"] {
            assert!(kind.is_called(name), "{name}");
        }
        for name in ["deployments.extensions", "depl", ""] {
            assert!(!kind.is_called(name), "{name}");
        }
    }

    #[test]
    fn preferred_versions_come_first() {
        let groups = json!({"groups": [{"versions": [{"groupVersion": "a/v1beta1"}, {"groupVersion": "a/v1"}],
            "preferredVersion": {"groupVersion": "a/v1"}}]});
        assert_eq!(group_versions(&groups), ["a/v1", "a/v1beta1"]);
    }

    #[test]
    fn folders_tell_groups_apart() {
        assert_eq!(folder("", "Service"), "service");
        assert_eq!(folder("networking.k8s.io", "Ingress"), "ingress");
        assert_eq!(folder("serving.knative.dev", "Service"), "service.serving.knative.dev");
        assert_eq!(folder("gateway.networking.k8s.io", "Gateway"), "gateway.gateway.networking.k8s.io");
    }
}
