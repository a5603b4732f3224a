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
mod container;
mod dial;
mod forward;
mod log;
mod streams;
#[cfg(test)]
mod tests;
mod tunnel;

use std::sync::Arc;

use api::Status;

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
