//! Discovery one group version at a time: `/api`, `/apis`, `/apis/GROUP`, `/apis/GROUP/VERSION`.

use serde_json::{Value, json};

use super::resources::{Group, Resource, Subresource, Version};

/// `/api`.
pub fn api_versions(groups: &[Group], address: &str) -> Value {
    let core = groups.iter().find(|group| group.name.is_empty());
    let versions: Vec<&str> = core.iter().flat_map(|group| &group.versions).map(|version| version.version).collect();
    json!({
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`.
pub fn group_list(groups: &[Group]) -> Value {
    let groups: Vec<Value> = groups.iter().filter(|group| !group.name.is_empty()).map(group_entry).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub fn group(group: &Group) -> Value {
    let mut entry = group_entry(group);
    entry["kind"] = json!("APIGroup");
    entry["apiVersion"] = json!("v1");
    entry
}

fn group_entry(group: &Group) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| json!({"groupVersion": version.api_version(), "version": version.version}))
        .collect();
    json!({"name": group.name, "preferredVersion": versions.first(), "versions": versions})
}

/// `/api/VERSION` and `/apis/GROUP/VERSION`.
pub fn resource_list(version: &Version) -> Value {
    let mut entries = Vec::new();
    for resource in &version.resources {
        entries.push(resource_entry(resource));
        entries.extend(resource.subresources.iter().map(|one| subresource_entry(resource, one)));
    }
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version.api_version(),
        "resources": entries,
    })
}

fn resource_entry(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.of.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    entry
}

fn subresource_entry(resource: &Resource, subresource: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.plural, subresource.name),
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": subresource.of.kind,
        "verbs": subresource.verbs,
    });
    if (subresource.of.group, subresource.of.version) != (resource.of.group, resource.of.version) {
        entry["group"] = json!(subresource.of.group);
        entry["version"] = json!(subresource.of.version);
    }
    entry
}
