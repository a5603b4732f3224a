//! Requests that are passed on to a kubelet, a pod or a service.
//!
//! `pods/{log,exec,attach,portforward}` and `nodes/proxy` go to the kubelet under this server's client certificate;
//! `pods/proxy` and `services/proxy` go to the pod's address. A connection that is upgraded (WebSocket, SPDY) is
//! tunnelled byte for byte: what is spoken inside is between the client and the other end.
//!
//! Invariant: credentials of the client never leave this server, and a tunnel ends when either side does.
//!
//! Deliberately absent: rewriting of links in proxied pages, and translation between WebSocket and SPDY (KEP-4006).

mod addresses;
pub(crate) mod container;
mod dial;
mod forward;
mod log;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod tunnel;

use std::sync::Arc;

use api::{Status, View};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};

use dial::Target;

use crate::{Config, Request, Response, Server, SetupError, route};

/// What proxies keep between requests.
pub struct State {
    dialer: dial::Dialer,
}

impl State {
    /// Makes the client for kubelets.
    ///
    /// # Errors
    /// When the client's certificate is unusable.
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        Ok(Self { dialer: dial::Dialer::new(config)? })
    }
}

/// What a node's kubelet answers to a GET of `path`, up to `most` bytes. How long it may take is up to the caller.
///
/// # Errors
/// When the kubelet can't be reached, refuses, or says more than that.
pub(crate) async fn ask_kubelet(
    server: &Arc<Server>,
    view: &View,
    node: &str,
    path: &str,
    most: usize,
) -> Result<Bytes, Status> {
    let target = Target::kubelet(view, node)?;
    let asked = http::Request::get(path)
        .header(http::header::HOST, target.authority())
        .body(forward::empty())
        .map_err(Status::internal)?;
    let answer = forward::exchange(server, &target, asked).await?;
    if !answer.status().is_success() {
        return Err(Status::internal(format!("the kubelet of node {node:?} answered {}", answer.status())));
    }
    let body = Limited::new(answer.into_body(), most).collect().await;
    body.map(|body| body.to_bytes()).map_err(|why| Status::internal(format!("the kubelet of node {node:?}: {why}")))
}

/// Answers, authorized already, `pods/{log,exec,attach,portforward,proxy}`, `services/proxy` and `nodes/proxy`.
/// `Request::attributes` says which; the verb may be anything that the method means.
///
/// # Errors
/// A refusal.
pub async fn handle(server: &Arc<Server>, request: Request) -> Result<Response, Status> {
    let attributes = &request.attributes;
    if !attributes.group.is_empty() || attributes.name.is_empty() {
        return Err(route::unknown_resource());
    }
    match (attributes.resource.as_str(), attributes.subresource.as_str()) {
        ("pods", "log") => log::handle(server, request).await,
        ("pods", "exec" | "attach" | "portforward") => streams::handle(server, request).await,
        ("pods" | "services" | "nodes", "proxy") => addresses::handle(server, request).await,
        _ => Err(route::unknown_resource()),
    }
}
