//! Workloads that would pull the image although it is staged, and the patch that keeps them from it.
//!
//! `imagePullPolicy: Always` asks the registry each time. The API server writes it into containers that name no policy and
//! whose tag is `latest` or missing (Kubernetes, `SetDefaults_Container`).

use cri::import::ImageName;
use serde_json::{Value, json};

/// A container of a workload that would still pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillPulls {
    /// `Deployment`, `Pod` and so on.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The container.
    pub container: String,
    /// Whether it is an init container.
    pub init: bool,
    /// The policy as it is written, if it is.
    pub policy: Option<String>,
    /// Why it pulls.
    pub why: &'static str,
    /// A strategic merge patch that makes it use what is there; a pod's policy can't be changed.
    pub patch: Option<Value>,
}

/// Finds them among objects of the API.
pub fn still_pulls(objects: &[Value], image: &ImageName) -> Vec<StillPulls> {
    let mut found = Vec::new();
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        // Only what nobody else writes is worth a word.
        let owned = object["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true));
        if owned {
            continue;
        }
        let path = pod_spec_path(kind);
        let spec = path.iter().fold(object, |value, key| &value[*key]);
        for (list, init) in [("containers", false), ("initContainers", true)] {
            for container in spec[list].as_array().into_iter().flatten() {
                if let Some(why) = pulls(container, image) {
                    found.push(StillPulls {
                        kind: kind.to_owned(),
                        namespace: text(&object["metadata"]["namespace"]),
                        name: text(&object["metadata"]["name"]),
                        container: text(&container["name"]),
                        init,
                        policy: container["imagePullPolicy"].as_str().map(str::to_owned),
                        why,
                        patch: (kind != "Pod").then(|| patch(path, list, container)),
                    });
                }
            }
        }
    }
    found
}

/// Where a kind has its pod's spec.
fn pod_spec_path(kind: &str) -> &'static [&'static str] {
    match kind {
        "Pod" => &["spec"],
        "CronJob" => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => &["spec", "template", "spec"],
    }
}

fn pulls(container: &Value, image: &ImageName) -> Option<&'static str> {
    let used = container["image"].as_str()?;
    let name: ImageName = used.parse().ok()?;
    if name != *image {
        return None;
    }
    match container["imagePullPolicy"].as_str() {
        Some("Always") => Some("its imagePullPolicy is Always"),
        Some(_) => None,
        None if !used.contains('@') && name.to_string().ends_with(":latest") => {
            Some("it has no imagePullPolicy, and the tag latest makes that Always")
        }
        None => None,
    }
}

fn patch(path: &[&str], list: &str, container: &Value) -> Value {
    // Lists of containers are merged by name.
    let patch = json!({list: [{"name": container["name"], "imagePullPolicy": "IfNotPresent"}]});
    path.iter().rev().fold(patch, |inner, key| json!({*key: inner}))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str, policy: Option<&str>) -> Value {
        let mut container = json!({"name": "main", "image": image});
        if let Some(policy) = policy {
            container["imagePullPolicy"] = policy.into();
        }
        json!({"kind": "Deployment", "metadata": {"namespace": "default", "name": "web"},
            "spec": {"template": {"spec": {"containers": [container]}}}})
    }

    fn count(image: &str, policy: Option<&str>, seeded: &str) -> usize {
        still_pulls(&[deployment(image, policy)], &seeded.parse().unwrap()).len()
    }

    #[test]
    fn always_and_latest_pull() {
        assert_eq!(count("reg:5000/app:1", Some("Always"), "reg:5000/app:1"), 1);
        assert_eq!(count("reg:5000/app", None, "reg:5000/app:latest"), 1);
        assert_eq!(count("reg:5000/app:1", None, "reg:5000/app:1"), 0);
        assert_eq!(count("reg:5000/app", Some("IfNotPresent"), "reg:5000/app"), 0);
        assert_eq!(count("nginx", Some("Always"), "docker.io/library/nginx:latest"), 1);
        assert_eq!(count("other:1", Some("Always"), "app:1"), 0);
    }

    #[test]
    fn the_patch_changes_that_container_only() {
        let found = still_pulls(&[deployment("app:1", Some("Always"))], &"app:1".parse().unwrap());
        let expected = json!({"spec": {"template": {"spec": {"containers":
            [{"name": "main", "imagePullPolicy": "IfNotPresent"}]}}}});
        assert_eq!(found[0].patch, Some(expected));
    }

    #[test]
    fn what_a_controller_wrote_is_its_controllers() {
        let mut pod = json!({"kind": "Pod", "metadata": {"name": "p",
            "ownerReferences": [{"controller": true, "kind": "ReplicaSet"}]},
            "spec": {"containers": [{"name": "c", "image": "app:1", "imagePullPolicy": "Always"}]}});
        let image = "app:1".parse().unwrap();
        assert_eq!(still_pulls(std::slice::from_ref(&pod), &image), []);
        pod["metadata"].as_object_mut().unwrap().remove("ownerReferences");
        assert_eq!(still_pulls(&[pod], &image)[0].patch, None);
    }
}
