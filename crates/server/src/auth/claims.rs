//! What a service account token says, and whether what it is bound to still exists.

use api::View;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::tokens::TokenError;
use crate::User;

/// Issuer of tokens that live in Secrets.
pub const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// How long after its deletion was asked for an object still vouches for a token (as Kubernetes).
const DELETION_LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// The claims of a token.
#[derive(Debug, Default, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audiences.
    #[serde(default, deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    nbf: i64,
    #[serde(default)]
    jti: String,
    #[serde(default, rename = "kubernetes.io")]
    kubernetes: Kubernetes,
    #[serde(default, rename = "kubernetes.io/serviceaccount/namespace")]
    legacy_namespace: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/secret.name")]
    legacy_secret: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/service-account.name")]
    legacy_account: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/service-account.uid")]
    legacy_uid: String,
}

/// Kubernetes' own claims.
#[derive(Debug, Default, Deserialize)]
struct Kubernetes {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    serviceaccount: Reference,
    pod: Option<Reference>,
    secret: Option<Reference>,
    node: Option<Reference>,
}

#[derive(Debug, Default, Deserialize)]
struct Reference {
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: String,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audience::deserialize(deserializer)? {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    })
}

impl Claims {
    /// When the token ends.
    ///
    /// # Errors
    /// When the claim is no time.
    pub fn expires(&self) -> Result<Timestamp, TokenError> {
        Timestamp::from_second(self.exp).map_err(|_| TokenError::Malformed)
    }

    /// When the token begins.
    ///
    /// # Errors
    /// When the claim is no time.
    pub fn not_before(&self) -> Result<Timestamp, TokenError> {
        Timestamp::from_second(self.nbf).map_err(|_| TokenError::Malformed)
    }

    /// The user of a token that is bound to objects.
    ///
    /// # Errors
    /// When one of them is gone or another one.
    pub fn bound_user(&self, view: &View, now: Timestamp) -> Result<User, TokenError> {
        let Kubernetes { namespace, serviceaccount: account, pod, secret, node } = &self.kubernetes;
        let found = view.get::<ServiceAccount>(namespace, &account.name).map(|found| &found.metadata);
        alive("service account", account, found, now)?;
        let mut user = account_user(namespace, &account.name, &account.uid);
        let mut extra = |key: &str, value: &str| {
            user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]);
        };
        if !self.jti.is_empty() {
            extra("credential-id", &format!("JTI={}", self.jti));
        }
        if let Some(pod) = pod {
            alive("pod", pod, view.get::<Pod>(namespace, &pod.name).map(|found| &found.metadata), now)?;
            extra("pod-name", &pod.name);
            extra("pod-uid", &pod.uid);
        }
        if let Some(secret) = secret {
            alive("secret", secret, view.get::<Secret>(namespace, &secret.name).map(|found| &found.metadata), now)?;
        }
        if let Some(node) = node {
            if pod.is_none() {
                alive("node", node, view.get::<Node>("", &node.name).map(|found| &found.metadata), now)?;
            }
            extra("node-name", &node.name);
            extra("node-uid", &node.uid);
        }
        Ok(user)
    }

    /// The user of a token that lives in a Secret.
    ///
    /// # Errors
    /// When the Secret no longer holds it, or its service account is gone or another one.
    pub fn legacy_user(&self, view: &View, token: &str) -> Result<User, TokenError> {
        let namespace = &self.legacy_namespace;
        let secret = view.get::<Secret>(namespace, &self.legacy_secret);
        let held = secret.and_then(|secret| secret.data.as_ref()?.get("token"));
        if secret.is_none_or(|secret| secret.metadata.deletion_timestamp.is_some())
            || held.is_none_or(|held| held.0 != token.as_bytes())
        {
            return Err(TokenError::Invalidated(format!("secret {:?} does not hold it", self.legacy_secret)));
        }
        let account = Reference { name: self.legacy_account.clone(), uid: self.legacy_uid.clone() };
        let found = view.get::<ServiceAccount>(namespace, &account.name).map(|found| &found.metadata);
        alive("service account", &account, found, Timestamp::UNIX_EPOCH)?;
        Ok(account_user(namespace, &account.name, &account.uid))
    }
}

/// The user that a service account is.
pub fn account_user(namespace: &str, name: &str, uid: &str) -> User {
    let mut user = User::new(
        &format!("system:serviceaccount:{namespace}:{name}"),
        ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), "system:authenticated"],
    );
    uid.clone_into(&mut user.uid);
    user
}

fn alive(what: &str, bound: &Reference, found: Option<&ObjectMeta>, now: Timestamp) -> Result<(), TokenError> {
    let why = match found {
        None => "is gone",
        Some(meta) if meta.uid.as_deref() != Some(&bound.uid) => "is another one",
        Some(meta) if meta.deletion_timestamp.as_ref().is_some_and(|at| at.0 + DELETION_LEEWAY < now) => {
            "is being deleted"
        }
        Some(_) => return Ok(()),
    };
    Err(TokenError::Invalidated(format!("{what} {:?} {why}", bound.name)))
}
