//! Which container of which pod a request is about.

use api::{Status, View};
use k8s_openapi::api::core::v1::Pod;

/// The pod that a request names.
///
/// # Errors
/// 404.
pub fn pod<'a>(view: &'a View, namespace: &str, name: &str) -> Result<&'a Pod, Status> {
    view.get::<Pod>(namespace, name).ok_or_else(|| Status::not_found("", "pods", name))
}

/// The node that a pod runs on; `None` before it has one.
pub fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

/// The container asked for, or the only one.
///
/// # Errors
/// When the pod has no such container, or has several and none was named.
pub fn choose<'a>(pod: &'a Pod, name: &str, asked: Option<&'a str>) -> Result<&'a str, Status> {
    let names = names(pod);
    match (asked, pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers)) {
        (Some(asked), _) if names.contains(&asked) => Ok(asked),
        (Some(asked), _) => Err(Status::bad_request(format!("container {asked} is not valid for pod {name}"))),
        (None, [only]) => Ok(&only.name),
        (None, []) => Err(Status::bad_request(format!("a container name must be specified for pod {name}"))),
        (None, _) => Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            names.join(" ")
        ))),
    }
}

/// Init containers, containers, ephemeral containers.
fn names(pod: &Pod) -> Vec<&str> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let init = spec.init_containers.iter().flatten().map(|container| container.name.as_str());
    let regular = spec.containers.iter().map(|container| container.name.as_str());
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|container| container.name.as_str());
    init.chain(regular).chain(ephemeral).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(containers: &[&str]) -> Pod {
        let containers: Vec<_> = containers.iter().map(|name| json!({"name": name})).collect();
        let spec = json!({"initContainers": [{"name": "setup"}], "containers": containers});
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    #[test]
    fn one_container_needs_no_name() {
        assert_eq!(choose(&with(&["a"]), "web", None), Ok("a"));
        assert_eq!(choose(&with(&["a", "b"]), "web", Some("b")), Ok("b"));
        assert_eq!(choose(&with(&["a"]), "web", Some("setup")), Ok("setup"));
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        let text = |pod: &Pod, asked| choose(pod, "web", asked).unwrap_err().message;
        assert_eq!(
            text(&with(&["a", "b"]), None),
            "a container name must be specified for pod web, choose one of: [setup a b]"
        );
        assert_eq!(text(&with(&["a"]), Some("x")), "container x is not valid for pod web");
        assert_eq!(text(&with(&[]), None), "a container name must be specified for pod web");
    }
}
