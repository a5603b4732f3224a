//! `pods/proxy`, `services/proxy` and `nodes/proxy`: any request to an address behind a name.
//!
//! The name may carry a scheme and a port: `web`, `web:8080`, `https:web:metrics`.

use std::net::IpAddr;
use std::sync::Arc;

use api::{Reason, Status, View};
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rand::seq::IndexedRandom;

use super::dial::{Security, Target, is_proxyable};
use super::{container, forward};
use crate::{Attributes, Request, Response, Server};

/// Label that ties an EndpointSlice to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Answers `proxy` of a pod, a service or a node.
///
/// # Errors
/// A refusal.
pub async fn handle(server: &Arc<Server>, request: Request) -> Result<Response, Status> {
    let below = below(request.uri.path());
    if below.is_empty() && (request.method == Method::GET || request.method == Method::HEAD) {
        // Relative links of what is behind only work below a directory.
        let query = request.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut moved = Response::text(StatusCode::MOVED_PERMANENTLY, "");
        let to = HeaderValue::from_str(&format!("{}/{query}", request.uri.path())).map_err(Status::internal)?;
        moved.headers.insert(LOCATION, to);
        return Ok(moved);
    }
    let target = target(&server.store.view(), &request.attributes)?;
    let mut path = if below.is_empty() { "/".to_owned() } else { below.to_owned() };
    if let Some(query) = request.uri.query() {
        path = format!("{path}?{query}");
    }
    forward::send(server, request, &target, &path).await
}

/// What stands in a path below `proxy`, as it was sent.
fn below(path: &str) -> &str {
    // /api/v1/nodes/NAME/proxy, /api/v1/namespaces/NAMESPACE/pods/NAME/proxy
    let n_segments = if path.starts_with("/api/v1/namespaces/") { 7 } else { 5 };
    let end = path.match_indices('/').map(|(at, _)| at).nth(n_segments);
    end.map_or("", |at| &path[at..])
}

fn target(view: &View, attributes: &Attributes) -> Result<Target, Status> {
    let named = Named::parse(&attributes.name)
        .ok_or_else(|| Status::bad_request(format!("invalid {} request {:?}", attributes.resource, attributes.name)))?;
    match attributes.resource.as_str() {
        "pods" => pod(view, &attributes.namespace, &named),
        "services" => service(view, &attributes.namespace, &named),
        _ => node(view, &named),
    }
}

/// A name with the scheme and port that were asked for.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    secure: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Named<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match *parts.as_slice() {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => return None,
        };
        let known = matches!(scheme, "" | "http" | "https");
        (known && !name.is_empty()).then_some(Self { secure: scheme == "https", name, port })
    }

    fn security(&self) -> Security {
        if self.secure { Security::Any } else { Security::Plain }
    }
}

fn pod(view: &View, namespace: &str, named: &Named<'_>) -> Result<Target, Status> {
    let pod = container::pod(view, namespace, named.name)?;
    let port = match named.port {
        "" => first_port(pod).unwrap_or(if named.secure { 443 } else { 80 }),
        text => text.parse().map_err(|_| Status::bad_request(format!("invalid pod port {text:?}")))?,
    };
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
    checked(Target { host: address, port, security: named.security() })
}

/// Refuses addresses that are no pod's.
fn checked(target: Target) -> Result<Target, Status> {
    let allowed = target.host.parse::<IpAddr>().is_ok_and(is_proxyable);
    if allowed { Ok(target) } else { Err(Status::bad_request("address not allowed")) }
}

fn first_port(pod: &Pod) -> Option<u16> {
    let containers = &pod.spec.as_ref()?.containers;
    let port = containers.iter().flat_map(|container| container.ports.iter().flatten()).next()?;
    u16::try_from(port.container_port).ok()
}

fn service(view: &View, namespace: &str, named: &Named<'_>) -> Result<Target, Status> {
    let unavailable = |message: String| Status::new(Reason::ServiceUnavailable, message);
    let service =
        view.get::<Service>(namespace, named.name).ok_or_else(|| Status::not_found("", "services", named.name))?;
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let port = match named.port {
        "" => ports.first(),
        text => ports.iter().find(|port| port.name.as_deref() == Some(text) || port.port.to_string() == text),
    };
    let port = port
        .ok_or_else(|| unavailable(format!("no service port {:?} found for service {:?}", named.port, named.name)))?;
    let name = port.name.as_deref().unwrap_or_default();
    let mut ready: Vec<(String, u16)> = Vec::new();
    let slices = view.list_in::<EndpointSlice>(namespace).filter(|slice| {
        slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME)).is_some_and(|of| of == named.name)
    });
    for slice in slices {
        let open = slice.ports.iter().flatten().find(|open| open.name.as_deref().unwrap_or_default() == name);
        let number = match (open.and_then(|open| open.port), &port.target_port) {
            (Some(number), _) => number,
            (None, Some(IntOrString::Int(number))) => *number,
            _ => port.port,
        };
        let Ok(number) = u16::try_from(number) else { continue };
        let usable =
            slice.endpoints.iter().flatten().filter(|endpoint| {
                endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
            });
        ready.extend(usable.flat_map(|endpoint| endpoint.addresses.iter().map(|address| (address.clone(), number))));
    }
    let (host, port) = ready
        .choose(&mut rand::rng())
        .cloned()
        .ok_or_else(|| unavailable(format!("no endpoints available for service {:?}", named.name)))?;
    checked(Target { host, port, security: named.security() })
}

fn node(view: &View, named: &Named<'_>) -> Result<Target, Status> {
    let kubelet = Target::kubelet(view, named.name)?;
    let port = match named.port {
        "" => return Ok(kubelet),
        text => text.parse().map_err(|_| Status::bad_request(format!("invalid node port {text:?}")))?,
    };
    if port == kubelet.port { Ok(kubelet) } else { Ok(Target { port, security: named.security(), ..kubelet }) }
}

#[cfg(test)]
mod cases {
    use api::Object;
    use serde_json::{Value, json};

    use super::*;

    fn view(objects: &[Value]) -> View {
        let mut view = View::empty(Arc::new(kinds::catalogue()));
        for object in objects {
            let found = view.catalogue().kinds().iter().find(|kind| object["kind"] == kind.kind);
            let object = Object::seal(found.unwrap(), object.clone(), 1);
            view.insert(Arc::new(object));
        }
        view
    }

    fn target_of(view: &View, resource: &str, name: &str) -> Result<String, String> {
        let attributes = Attributes {
            resource: resource.into(),
            namespace: "shop".into(),
            name: name.into(),
            ..Attributes::default()
        };
        let target = target(view, &attributes).map_err(|status| status.message)?;
        Ok(format!("{} {:?}", target.authority(), target.security))
    }

    #[test]
    fn a_pod_is_reached_at_its_first_port() {
        let view = view(&[json!({
            "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]},
            "status": {"podIP": "10.244.1.7"},
        })]);
        assert_eq!(target_of(&view, "pods", "web"), Ok("10.244.1.7:8080 Plain".into()));
        assert_eq!(target_of(&view, "pods", "https:web:443"), Ok("10.244.1.7:443 Any".into()));
        assert_eq!(target_of(&view, "pods", "web:x"), Err("invalid pod port \"x\"".into()));
    }

    #[test]
    fn a_service_is_reached_at_a_ready_endpoint() {
        let slice = |addresses: &[&str], ready: bool| {
            json!({
                "kind": "EndpointSlice",
                "metadata": {
                    "namespace": "shop",
                    "name": format!("front-{ready}"),
                    "labels": {"kubernetes.io/service-name": "front"},
                },
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": 8080}, {"name": "metrics", "port": 9090}],
                "endpoints": [{"addresses": addresses, "conditions": {"ready": ready}}],
            })
        };
        let view = view(&[
            json!({
                "kind": "Service",
                "metadata": {"namespace": "shop", "name": "front"},
                "spec": {"ports": [{"name": "http", "port": 80}, {"name": "metrics", "port": 90}]},
            }),
            slice(&["10.244.1.7"], true),
            slice(&["10.244.1.8"], false),
        ]);
        assert_eq!(target_of(&view, "services", "front"), Ok("10.244.1.7:8080 Plain".into()));
        assert_eq!(target_of(&view, "services", "front:metrics"), Ok("10.244.1.7:9090 Plain".into()));
        assert_eq!(target_of(&view, "services", "https:front:90"), Ok("10.244.1.7:9090 Any".into()));
    }

    #[test]
    fn names_carry_scheme_and_port() {
        let parse = |text| Named::parse(text).map(|named| (named.secure, named.name, named.port));
        assert_eq!(parse("web"), Some((false, "web", "")));
        assert_eq!(parse("web:80"), Some((false, "web", "80")));
        assert_eq!(parse("https:web:"), Some((true, "web", "")));
        assert_eq!(parse("http:web:metrics"), Some((false, "web", "metrics")));
        for wrong in ["", ":80", "ftp:web:80", "a:b:c:d"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_stands_below_keeps_its_form() {
        let cases = [
            ("/api/v1/nodes/n/proxy", ""),
            ("/api/v1/nodes/n/proxy/", "/"),
            ("/api/v1/nodes/n/proxy/stats/summary", "/stats/summary"),
            ("/api/v1/namespaces/a/pods/b:80/proxy", ""),
            ("/api/v1/namespaces/a/services/b/proxy/x%2Fy//z/", "/x%2Fy//z/"),
        ];
        for (path, expected) in cases {
            assert_eq!(below(path), expected, "{path}");
        }
    }

    #[test]
    fn only_addresses_that_pods_can_have_are_reached() {
        let allowed = |host: &str| checked(Target { host: host.into(), port: 80, security: Security::Plain }).is_ok();
        assert!(allowed("10.244.1.7") && allowed("fd00::1"));
        for host in ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "", "example.com"] {
            assert!(!allowed(host), "{host}");
        }
    }
}
