//! Making service account tokens: the TokenRequest subresource, and tokens that live in Secrets.

use std::sync::Arc;

use api::{FieldErrors, Path, Status, View};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::claims::{LEGACY_ISSUER, account_user};
use super::{State, forbidden};
use crate::{Request, Server, User};

const GROUP: &str = "authentication.k8s.io";
const DEFAULT_SECONDS: i64 = 3_600;
const MIN_SECONDS: i64 = 600;
const MAX_SECONDS: i64 = 1 << 32;

/// What kubelets ask for on behalf of pods; such a token lives for a year, and says when it should have been renewed
/// (KEP-1205: clients that never reload their token must not break).
const PROJECTED_SECONDS: i64 = 3_607;
const YEAR_SECONDS: i64 = 365 * 24 * 3_600;

/// Answers `create` of `serviceaccounts/NAME/token` (TokenRequest).
///
/// # Errors
/// When the service account or what the token is bound to does not exist.
pub async fn token(server: &Arc<Server>, request: &Request, wanted: Value) -> Result<Value, Status> {
    let attributes = &request.attributes;
    let place = Place { namespace: &attributes.namespace, name: &attributes.name };
    let view = server.store.view();
    issue(&server.auth, &view, &request.user, &place, wanted, Timestamp::now())
}

/// Where the service account is.
struct Place<'a> {
    namespace: &'a str,
    name: &'a str,
}

fn issue(
    state: &State,
    view: &View,
    user: &User,
    place: &Place<'_>,
    wanted: Value,
    now: Timestamp,
) -> Result<Value, Status> {
    let account = view
        .get::<ServiceAccount>(place.namespace, place.name)
        .ok_or_else(|| Status::not_found("", "serviceaccounts", place.name))?;
    let spec = TokenRequestSpec::deserialize(&wanted["spec"])
        .map_err(|why| Status::bad_request(format!("TokenRequest in version \"v1\" cannot be handled: {why}")))?;
    let seconds = checked_seconds(&spec)?;
    let bound = match &spec.bound_object_ref {
        Some(reference) => bound_claims(view, place, reference)?,
        None => json!({}),
    };
    only_for_own_pods(view, user, place, &bound)?;
    let asked = spec.audiences.clone().filter(|list| !list.is_empty());
    let audiences = asked.unwrap_or_else(|| vec![state.tokens.issuer().to_owned()]);
    let projected = seconds == PROJECTED_SECONDS && bound.get("pod").is_some() && audiences == [state.tokens.issuer()];
    let lives = if projected { YEAR_SECONDS } else { seconds };
    let issued = now.as_second();
    let mut kubernetes = bound;
    kubernetes["namespace"] = json!(place.namespace);
    kubernetes["serviceaccount"] = json!({"name": place.name, "uid": account.metadata.uid});
    if projected {
        kubernetes["warnafter"] = json!(issued + seconds);
    }
    let claims = json!({
        "aud": audiences,
        "exp": issued + lives,
        "iat": issued,
        "iss": state.tokens.issuer(),
        "jti": uuid::Uuid::new_v4().to_string(),
        "kubernetes.io": kubernetes,
        "nbf": issued,
        "sub": account_user(place.namespace, place.name, "").name,
    });
    let token = state.tokens.sign(&claims).map_err(|_| Status::internal("signing the token: no randomness"))?;
    let ends = now + SignedDuration::from_secs(seconds);
    Ok(json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": place.name, "namespace": place.namespace, "creationTimestamp": whole_seconds(now)},
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec.bound_object_ref},
        "status": {"token": token, "expirationTimestamp": whole_seconds(ends)},
    }))
}

fn whole_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn checked_seconds(spec: &TokenRequestSpec) -> Result<i64, Status> {
    let seconds = spec.expiration_seconds.unwrap_or(DEFAULT_SECONDS);
    let mut errors = FieldErrors::default();
    let path = Path::new("spec.expirationSeconds");
    if seconds < MIN_SECONDS {
        errors.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
    } else if seconds > MAX_SECONDS {
        errors.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    if errors.is_empty() { Ok(seconds) } else { Err(Status::invalid(GROUP, "TokenRequest", "", &errors)) }
}

/// The claims about what a token is bound to.
fn bound_claims(view: &View, place: &Place<'_>, reference: &BoundObjectReference) -> Result<Value, Status> {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let (version, kind, name) = (text(&reference.api_version), text(&reference.kind), text(&reference.name));
    let found = |plural: &str, meta: Option<&ObjectMeta>| -> Result<Value, Status> {
        let meta = meta.ok_or_else(|| Status::not_found("", plural, &name))?;
        let uid = meta.uid.clone().unwrap_or_default();
        match reference.uid.as_deref() {
            Some(wanted) if !wanted.is_empty() && wanted != uid => Err(Status::conflict(
                "",
                plural,
                &name,
                &format!(
                    "the UID in the bound object reference ({wanted}) does not match the UID in record. The object \
                     might have been deleted and then recreated"
                ),
            )),
            _ => Ok(json!({"name": name, "uid": uid})),
        }
    };
    match (version.as_str(), kind.as_str()) {
        ("v1", "Pod") => {
            let pod = view.get::<Pod>(place.namespace, &name);
            let mut claims = json!({"pod": found("pods", pod.map(|pod| &pod.metadata))?});
            let spec = pod.and_then(|pod| pod.spec.as_ref());
            let runs_as = spec.and_then(|spec| spec.service_account_name.as_deref()).unwrap_or_default();
            if runs_as != place.name {
                return Err(Status::bad_request(format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                    place.name
                )));
            }
            if let Some(node) = spec.and_then(|spec| spec.node_name.as_deref()).filter(|node| !node.is_empty()) {
                let known = view.get::<Node>("", node).and_then(|node| node.metadata.uid.clone());
                claims["node"] = json!({"name": node});
                if let Some(uid) = known {
                    claims["node"]["uid"] = json!(uid);
                }
            }
            Ok(claims)
        }
        ("v1", "Secret") => {
            let secret = view.get::<Secret>(place.namespace, &name);
            Ok(json!({"secret": found("secrets", secret.map(|secret| &secret.metadata))?}))
        }
        ("v1", "Node") => Ok(json!({"node": found("nodes", view.get::<Node>("", &name).map(|node| &node.metadata))?})),
        _ => Err(Status::bad_request(format!("cannot bind token to object of type {version}, Kind={kind}"))),
    }
}

/// A node may ask only for tokens of pods that run on it (NodeRestriction).
fn only_for_own_pods(view: &View, user: &User, place: &Place<'_>, bound: &Value) -> Result<(), Status> {
    let Some(node) = super::node::name_of(user) else { return Ok(()) };
    let refuse = |why: &str| Err(forbidden::about("", "serviceaccounts", place.name, why));
    let Some(pod) = bound["pod"]["name"].as_str() else { return refuse("node requested token not bound to a pod") };
    let runs_on = view.get::<Pod>(place.namespace, pod).and_then(|pod| pod.spec.as_ref()?.node_name.as_deref());
    if runs_on == Some(node) {
        Ok(())
    } else {
        refuse("node requested token bound to a pod scheduled on a different node")
    }
}

/// The token of a Secret of type `kubernetes.io/service-account-token`, for the controller that fills such Secrets. It has no end of its own; deleting the Secret ends it.
///
/// # Errors
/// When there is no such service account.
pub fn legacy_token(
    state: &State,
    view: &View,
    namespace: &str,
    account: &str,
    secret: &str,
) -> Result<String, Status> {
    let found = view
        .get::<ServiceAccount>(namespace, account)
        .ok_or_else(|| Status::not_found("", "serviceaccounts", account))?;
    let claims = json!({
        "iss": LEGACY_ISSUER,
        "kubernetes.io/serviceaccount/namespace": namespace,
        "kubernetes.io/serviceaccount/secret.name": secret,
        "kubernetes.io/serviceaccount/service-account.name": account,
        "kubernetes.io/serviceaccount/service-account.uid": found.metadata.uid,
        "sub": account_user(namespace, account, "").name,
    });
    state.tokens.sign(&claims).map_err(|_| Status::internal("signing the token: no randomness"))
}

#[cfg(test)]
mod cases;
