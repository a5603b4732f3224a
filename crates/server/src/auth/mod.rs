//! Who asks (authentication), and whether they may (authorization).
//!
//! Authentication is by client certificate, by service account token, or none (`system:anonymous`); impersonation
//! headers are applied last. Authorization asks, in this order: is the user in `system:masters`, is it a node about
//! its own things ([`node`]), do RBAC roles allow it ([`rbac`]). The first yes counts.
//!
//! Invariant: a decision depends on the user, the attributes and one view, and on nothing else.
//!
//! Deliberately absent: authentication by OIDC providers, webhooks, static files and bootstrap tokens.

mod authenticate;
mod bootstrap;
mod claims;
mod escalation;
mod forbidden;
mod impersonate;
mod node;
mod oidc;
mod rbac;
mod reviews;
mod token_request;
mod tokens;
#[cfg(test)]
mod world;

use std::net::SocketAddr;
use std::sync::OnceLock;

use api::{Status, View};
use rustls::pki_types::CertificateDer;

use crate::{Attributes, Config, SetupError, User};

pub use authenticate::{BEARER_PROTOCOL, authenticate};
pub use bootstrap::{bootstrap_changes, bootstrap_roles};
pub use escalation::check as check_escalation;
pub use oidc::{jwks, openid_configuration};
pub use reviews::review;
pub use token_request::{legacy_token, token};

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
pub struct State {
    tokens: tokens::Tokens,
    rbac: rbac::Cache,
}

impl State {
    /// Reads the keys that are needed.
    ///
    /// # Errors
    /// When a key or certificate is unusable.
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        Ok(Self { tokens: tokens::Tokens::new(&config.tokens)?, rbac: rbac::Cache::default() })
    }
}

/// Answer to "may they?", with the reason that reviews and refusals show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why, or why not; empty when there is nothing to say beyond "no rule allows it".
    pub reason: String,
}

impl Decision {
    fn allow(reason: impl Into<String>) -> Self {
        Self { allowed: true, reason: reason.into() }
    }

    fn no(reason: impl Into<String>) -> Self {
        Self { allowed: false, reason: reason.into() }
    }
}

/// Decides whether a user may, and says why.
pub fn decide(state: &State, view: &View, user: &User, attributes: &Attributes) -> Decision {
    if user.in_group("system:masters") {
        return Decision::allow("");
    }
    let by_node = node::decide(view, user, attributes);
    if by_node.as_ref().is_some_and(|decision| decision.allowed) {
        return by_node.unwrap_or_default();
    }
    let by_rbac = state.rbac.index(view).decide(user, attributes);
    match by_node {
        Some(node) if !by_rbac.allowed && !node.reason.is_empty() => {
            let reasons: Vec<String> =
                [node.reason, by_rbac.reason].into_iter().filter(|one| !one.is_empty()).collect();
            Decision::no(reasons.join(", "))
        }
        _ => by_rbac,
    }
}

/// Lets a user pass, or refuses.
///
/// # Errors
/// 403 in Kubernetes' words.
pub fn authorize(state: &State, view: &View, user: &User, attributes: &Attributes) -> Result<(), Status> {
    let decision = decide(state, view, user, attributes);
    if decision.allowed { Ok(()) } else { Err(forbidden::refusal(user, attributes, &decision.reason)) }
}
