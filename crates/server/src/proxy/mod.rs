//! Requests that are passed on to a kubelet, a pod or a service.

use std::sync::Arc;

use api::Status;

use crate::{Config, Request, Response, Server, SetupError};

/// What proxies keep between requests.
pub struct State {}

impl State {
    /// Makes the client for kubelets.
    ///
    /// # Errors
    /// When the client's certificate is unusable.
    pub fn new(_config: &Config) -> Result<Self, SetupError> {
        Ok(Self {})
    }
}

/// Answers, authorized already, `pods/{log,exec,attach,portforward,proxy}`, `services/proxy` and `nodes/proxy`.
/// `Request::attributes` says which; the verb may be anything that the method means.
///
/// # Errors
/// A refusal.
pub async fn handle(_server: &Arc<Server>, _request: Request) -> Result<Response, Status> {
    Err(Status::not_implemented("this subresource"))
}
