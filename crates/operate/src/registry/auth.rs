//! Who asks: challenges of registries, and the tokens that answer them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{Method, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::{Url, ask};
use super::tls::Trust;
use crate::access::Access;

/// A token document is small.
const MAX_TOKEN: usize = 1 << 20;

/// A user and a password, or a token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
    registry_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// A user with a password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into(), registry_token: None }
    }

    /// A token that goes to the registry as it is.
    pub fn token(token: impl Into<String>) -> Self {
        Self { user: String::new(), password: String::new(), registry_token: Some(token.into()) }
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn registry_token(&self) -> Option<&str> {
        self.registry_token.as_deref()
    }

    /// The value of an `Authorization` header.
    pub fn basic(&self) -> String {
        format!("Basic {}", BASE64.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// What a registry wants to know (RFC 9110, 11.6.1; the distribution project's token specification).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User and password.
    Basic {
        /// What it calls itself.
        realm: String,
    },
    /// A token from elsewhere.
    Bearer(Bearer),
}

/// Where a token is to be had, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// The token server's URL.
    pub realm: String,
    /// What the token is for.
    pub service: String,
    /// What it is to allow.
    pub scope: String,
}

impl Challenge {
    /// Reads a `WWW-Authenticate` header.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        let fields = parameters(rest);
        let field = |name: &str| {
            fields
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        };
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic { realm: field("realm") });
        }
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| Self::Bearer(Bearer { realm: field("realm"), service: field("service"), scope: field("scope") }))
    }
}

/// `a="b, c",d=e` as pairs.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, end) = match after.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((value, end)) => (value, end),
                None => (quoted, ""),
            },
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        found.push((key.trim().to_owned(), value.trim().to_owned()));
        rest = end.trim_start().trim_start_matches(',').trim_start();
    }
    found
}

/// A token for a challenge; the error says what the token server said.
pub async fn fetch_token(
    access: &dyn Access,
    bearer: &Bearer,
    credentials: Option<&Credentials>,
    trust: &Trust,
) -> Result<String, String> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let joint = if bearer.realm.contains('?') { '&' } else { '?' };
    let mut text = format!("{}{joint}service={}", bearer.realm, encode(&bearer.service));
    // One scope for each, as they stand in the challenge.
    for scope in bearer.scope.split(' ').filter(|scope| !scope.is_empty()) {
        text.push_str(&format!("&scope={}", encode(scope)));
    }
    let url =
        Url::parse(&text).map_err(|problem| format!("the registry names a token server that is none: {problem}"))?;
    let headers: Vec<_> =
        credentials.map(|credentials| (header::AUTHORIZATION, credentials.basic())).into_iter().collect();
    let server = format!("the token server {}", url.authority());
    let answer = ask(access, &Method::GET, &url, &headers, trust).await;
    let answer = answer.map_err(|failure| format!("{server}: {failure}"))?;
    let status = answer.status();
    let bytes = answer.bytes(MAX_TOKEN).await.map_err(|failure| format!("{server}: {failure}"))?;
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        let who = match credentials {
            Some(credentials) => format!("the password of user {}", credentials.user()),
            None => "to give a token to somebody who is not logged in".to_owned(),
        };
        return Err(format!("{server} refuses {who}: {status}"));
    }
    if !status.is_success() {
        return Err(format!("{server} answered {status}{}", super::words(&bytes)));
    }
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let token = document["token"].as_str().or(document["access_token"].as_str());
    token.map(str::to_owned).ok_or_else(|| format!("{server} sent no token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = r#"Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push""#;
        let Some(Challenge::Bearer(found)) = Challenge::parse(bearer) else { panic!("no bearer") };
        assert_eq!((found.realm.as_str(), found.service.as_str()), ("https://auth.example/token", "reg"));
        assert_eq!(found.scope, "repository:a/b:pull,push");
        assert_eq!(Challenge::parse("basic realm=x, charset=y"), Some(Challenge::Basic { realm: "x".to_owned() }));
        for odd in ["", "Negotiate", "Bearer", "Bearer realm=\"", "Bearer =,=,"] {
            let _ = Challenge::parse(odd);
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        let text = format!("{:?}", Credentials::new("alice", "s3cret"));
        assert!(text.contains("alice") && !text.contains("s3cret"), "{text}");
    }
}
