//! Who asks (authentication), and whether they may (authorization).

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use api::{Status, View};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::{Attributes, Config, Request, Server, SetupError, User};

/// What is known of a connection.
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// Client certificates that TLS checked against the cluster's CA, the client's own first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The user that the certificate names, found once per connection.
    pub user: OnceLock<Option<User>>,
}

/// What authentication and authorization keep between requests.
pub struct State {}

impl State {
    /// Reads the keys that are needed.
    ///
    /// # Errors
    /// When a key or certificate is unusable.
    pub fn new(_config: &Config) -> Result<Self, SetupError> {
        Ok(Self {})
    }
}

/// Finds out who makes a request, impersonation included.
///
/// # Errors
/// 401 for credentials that are not good, 403 for impersonation that is not allowed.
pub async fn authenticate(_server: &Server, _parts: &http::request::Parts, _peer: &Peer) -> Result<User, Status> {
    Ok(User::anonymous())
}

/// Decides whether a user may.
///
/// # Errors
/// 403 in Kubernetes' words.
pub fn authorize(_view: &View, _user: &User, _attributes: &Attributes) -> Result<(), Status> {
    Ok(())
}

/// Answers a `create` of the kinds that are questions and never stored: TokenReview, SelfSubjectReview, the
/// SubjectAccessReviews and SelfSubjectRulesReview.
///
/// # Errors
/// When the question is malformed.
pub async fn review(_server: &Arc<Server>, _request: &Request, _question: Value) -> Result<Value, Status> {
    Err(Status::not_implemented("authorization reviews"))
}

/// Answers `create` of `serviceaccounts/NAME/token` (TokenRequest).
///
/// # Errors
/// When the service account or what the token is bound to does not exist.
pub async fn token(_server: &Arc<Server>, _request: &Request, _wanted: Value) -> Result<Value, Status> {
    Err(Status::not_implemented("token requests"))
}

/// Roles and bindings that every cluster starts with, as objects to create when absent.
pub fn bootstrap_roles() -> Vec<Value> {
    Vec::new()
}
