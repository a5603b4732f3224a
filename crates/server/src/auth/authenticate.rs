//! From certificates and headers to a user.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use jiff::Timestamp;
use ring::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use api::Status;
use api::status::Reason;

use super::{Peer, impersonate};
use crate::{Server, User};

/// Subprotocol by which browsers, which can't set headers on a WebSocket, give a token.
pub const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Finds out who makes a request, impersonation included.
///
/// # Errors
/// 401 for credentials that are not good, 403 for impersonation that is not allowed.
pub async fn authenticate(server: &Server, parts: &http::request::Parts, peer: &Peer) -> Result<User, Status> {
    let certified = peer.user.get_or_init(|| peer.certificates.first().and_then(certified_user));
    let user = match (certified, bearer(&parts.headers)) {
        (Some(user), _) => user.clone(),
        (None, None) => User::anonymous(),
        (None, Some(token)) => {
            let audiences = [server.config.tokens.issuer.as_str()];
            let tokens = &server.auth.tokens;
            let verified = tokens.authenticate(&server.store.view(), &token, &audiences, Timestamp::now());
            verified
                .map_err(|why| {
                    tracing::debug!(%why, "bearer token refused");
                    unauthorized()
                })?
                .user
        }
    };
    impersonate::apply(server, &parts.headers, user)
}

/// 401. Says nothing about why: that is for the server's log.
pub fn unauthorized() -> Status {
    Status::new(Reason::Unauthorized, "Unauthorized")
}

/// The user of a client certificate: common name, and organizations as groups.
fn certified_user(certificate: &CertificateDer<'static>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok()).filter(|group| !group.is_empty());
    let mut user = User::new(name, groups.chain(["system:authenticated"]));
    let fingerprint: String =
        digest::digest(&digest::SHA256, certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    user.extra
        .insert("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("X509SHA256={fingerprint}")]);
    (!name.is_empty()).then_some(user)
}

/// The bearer token of a request. An empty one counts as given, and is refused.
fn bearer(headers: &http::HeaderMap) -> Option<String> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    header.or_else(|| {
        let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        let encoded =
            protocols.flat_map(|value| value.split(',')).find_map(|one| one.trim().strip_prefix(BEARER_PROTOCOL))?;
        String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: &str) -> http::HeaderMap {
        let name: http::HeaderName = name.parse().unwrap();
        http::HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn tokens_are_found_where_clients_put_them() {
        assert_eq!(bearer(&headers("authorization", "Bearer abc")).as_deref(), Some("abc"));
        assert_eq!(bearer(&headers("authorization", "bearer  abc ")).as_deref(), Some("abc"));
        assert_eq!(bearer(&headers("authorization", "Basic abc")), None);
        let protocols = format!("v5.channel.k8s.io, {BEARER_PROTOCOL}{}", URL_SAFE_NO_PAD.encode("abc"));
        assert_eq!(bearer(&headers("sec-websocket-protocol", &protocols)).as_deref(), Some("abc"));
        assert_eq!(bearer(&http::HeaderMap::new()), None);
    }

    #[test]
    fn a_certificate_names_its_user_and_groups() {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "jane");
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "dev");
        let key = rcgen::KeyPair::generate().unwrap();
        let user = certified_user(params.self_signed(&key).unwrap().der()).unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups.as_slice()),
            ("jane", ["dev".into(), "system:authenticated".into()].as_slice())
        );
    }
}
