//! `pods/exec`, `pods/attach` and `pods/portforward`: upgraded connections to the kubelet.

use std::sync::Arc;

use api::Status;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::dial::Target;
use super::{container, forward};
use crate::request::Query;
use crate::{Attributes, Request, Response, Server, auth};

/// Names of streams: in the API, and in the kubelet's API.
const STREAMS: [(&str, &str); 4] = [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")];

/// Answers `pods/{exec,attach,portforward}`.
///
/// # Errors
/// A refusal.
pub async fn handle(server: &Arc<Server>, request: Request) -> Result<Response, Status> {
    let view = server.store.view();
    let attributes = &request.attributes;
    if request.method == Method::GET {
        // A GET that upgrades does what a POST does, so it needs the same permission
        // (AuthorizePodWebsocketUpgradeCreatePermission).
        let create = Attributes { verb: "create".to_owned(), ..attributes.clone() };
        auth::authorize(&server.auth, &view, &request.user, &create)?;
    }
    let name = attributes.name.as_str();
    let pod = container::pod(&view, &attributes.namespace, name)?;
    let path = match attributes.subresource.as_str() {
        "portforward" => port_forward_path(attributes, &request.query),
        verb => {
            let container = container::choose(pod, name, request.query.text("container"))?;
            stream_path(verb, attributes, container, &request.query)
        }
    };
    let node =
        container::node(pod).ok_or_else(|| Status::bad_request(format!("pod {name} does not have a host assigned")))?;
    if forward::upgrade_type(&request.headers).is_none() || request.upgrade.is_none() {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let target = Target::kubelet(&view, node)?;
    forward::send(server, request, &target, &path).await
}

fn stream_path(verb: &str, attributes: &Attributes, container: &str, query: &Query) -> String {
    let mut parameters: Vec<String> =
        STREAMS.iter().filter(|(name, _)| query.flag(name)).map(|(_, kubelet)| format!("{kubelet}=1")).collect();
    if verb == "exec" {
        let words = query.all("command");
        parameters.extend(words.map(|word| format!("command={}", utf8_percent_encode(word, NON_ALPHANUMERIC))));
    }
    format!("/{verb}/{}/{}/{container}?{}", attributes.namespace, attributes.name, parameters.join("&"))
}

fn port_forward_path(attributes: &Attributes, query: &Query) -> String {
    let ports = query.all("ports").flat_map(|ports| ports.split(','));
    let ports: Vec<String> =
        ports.map(|port| format!("port={}", utf8_percent_encode(port, NON_ALPHANUMERIC))).collect();
    let separator = if ports.is_empty() { "" } else { "?" };
    format!("/portForward/{}/{}{separator}{}", attributes.namespace, attributes.name, ports.join("&"))
}

#[cfg(test)]
mod cases {
    use super::*;

    #[test]
    fn paths_are_those_of_the_kubelet() {
        let attributes = Attributes { namespace: "shop".into(), name: "web".into(), ..Attributes::default() };
        let query = Query::parse("command=sh&command=-c&command=a+%26b&stdin=true&stdout=true&stderr=false&tty=1");
        assert_eq!(
            stream_path("exec", &attributes, "app", &query),
            "/exec/shop/web/app?input=1&output=1&tty=1&command=sh&command=%2Dc&command=a%20%26b"
        );
        assert_eq!(stream_path("attach", &attributes, "app", &query), "/attach/shop/web/app?input=1&output=1&tty=1");
        assert_eq!(port_forward_path(&attributes, &Query::parse("")), "/portForward/shop/web");
        assert_eq!(
            port_forward_path(&attributes, &Query::parse("ports=80,81")),
            "/portForward/shop/web?port=80&port=81"
        );
    }
}
