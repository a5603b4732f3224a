//! Discovery of everything in two answers: `/api` and `/apis` as APIGroupDiscoveryList (KEP-3352).

use serde_json::{Value, json};

use super::resources::{Group, Name, Resource, Version};

/// Content type of version v2.
pub const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// Content type of version v2beta1, which reads the same.
pub const V2_BETA: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// The content type that a client asks for before plain JSON, if it does.
pub fn wanted(accept: &str) -> Option<&'static str> {
    for media in accept.split(',') {
        let parts: Vec<&str> = media.split(';').map(str::trim).collect();
        let [kind, parameters @ ..] = parts.as_slice() else { continue };
        if *kind != "application/json" && *kind != "*/*" && *kind != "application/*" {
            continue;
        }
        let has = |one: &str| parameters.contains(&one);
        if !parameters.iter().any(|one| one.starts_with("as=")) {
            return None;
        }
        if has("as=APIGroupDiscoveryList") && has("g=apidiscovery.k8s.io") {
            if has("v=v2") {
                return Some(V2);
            }
            if has("v=v2beta1") {
                return Some(V2_BETA);
            }
        }
    }
    None
}

/// The list of these groups.
pub fn list<'a>(groups: impl Iterator<Item = &'a Group>, content_type: &str) -> Value {
    let version = if content_type == V2 { "v2" } else { "v2beta1" };
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": groups.map(item).collect::<Vec<_>>(),
    })
}

fn item(group: &Group) -> Value {
    let mut metadata = json!({"creationTimestamp": null});
    if !group.name.is_empty() {
        metadata["name"] = json!(group.name);
    }
    json!({"metadata": metadata, "versions": group.versions.iter().map(version).collect::<Vec<_>>()})
}

fn version(version: &Version) -> Value {
    json!({
        "version": version.version,
        "resources": version.resources.iter().map(resource).collect::<Vec<_>>(),
        "freshness": "Current",
    })
}

fn resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.of),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|one| json!({"subresource": one.name, "responseKind": kind(one.of), "verbs": one.verbs}))
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = json!(subresources);
    }
    entry
}

fn kind(name: Name) -> Value {
    json!({"group": name.group, "version": name.version, "kind": name.kind})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_known_counts() {
        let cases = [
            (format!("{V2},{V2_BETA},application/json"), Some(V2)),
            (format!("{V2_BETA},application/json"), Some(V2_BETA)),
            ("application/json;v=v3;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList, application/json".into(), None),
            (format!("application/vnd.kubernetes.protobuf, {V2}"), Some(V2)),
            ("application/json".into(), None),
            ("*/*".into(), None),
            (String::new(), None),
        ];
        for (accept, expected) in cases {
            assert_eq!(wanted(&accept), expected, "{accept}");
        }
    }
}
