//! What the server offers: discovery, OpenAPI, version and health.

use std::sync::Arc;

use api::Status;

use crate::{Config, Request, Response, Server, SetupError};

/// What discovery keeps between requests.
pub struct State {}

impl State {
    /// An empty state.
    ///
    /// # Errors
    /// Never yet.
    pub fn new(_config: &Config) -> Result<Self, SetupError> {
        Ok(Self {})
    }
}

/// Answers requests whose path names no resource: `/`, `/api…`, `/apis…`, `/openapi/…`, `/version`, `/healthz…`,
/// `/livez…`, `/readyz…`, `/metrics`, `/.well-known/openid-configuration`, `/openid/v1/jwks`. `None` when the path
/// is none of these, which is answered with 404.
///
/// # Errors
/// A refusal.
pub async fn handle(_server: &Arc<Server>, _request: &Request) -> Result<Option<Response>, Status> {
    Err(Status::not_implemented("discovery"))
}
