//! Tokens that are good, and every way in which they are not.

use base64::Engine as _;
use serde_json::json;

use super::*;
use crate::auth::tokens::TokenError;
use crate::auth::world::{add, state, user, view};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn world() -> View {
    view([
        json!({"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "till", "uid": "sa-1"}}),
        json!({"kind": "Node", "metadata": {"name": "one", "uid": "node-1"}}),
        json!({
            "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "web", "uid": "pod-1"},
            "spec": {"serviceAccountName": "till", "nodeName": "one", "containers": []},
        }),
        json!({
            "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "other", "uid": "pod-2"},
            "spec": {"serviceAccountName": "default", "nodeName": "two", "containers": []},
        }),
    ])
}

fn request(state: &State, view: &View, who: &str, spec: Value) -> Result<Value, Status> {
    let place = Place { namespace: "shop", name: "till" };
    issue(state, view, &user(who), &place, json!({"spec": spec}), now())
}

fn token_for(state: &State, view: &View, spec: Value) -> String {
    request(state, view, "root", spec).unwrap()["status"]["token"].as_str().unwrap().to_owned()
}

fn bound_to(kind: &str, name: &str) -> Value {
    json!({"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name}})
}

#[test]
fn a_token_is_its_service_account() {
    let (state, view) = (state(), world());
    let token = token_for(&state, &view, bound_to("Pod", "web"));
    let verified = state.tokens.authenticate(&view, &token, &[ISSUER], later(1)).unwrap();
    assert_eq!(verified.user.name, "system:serviceaccount:shop:till");
    assert_eq!(verified.user.uid, "sa-1");
    assert_eq!(verified.user.groups, ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]);
    let extra = |key: &str| verified.user.extra[&format!("authentication.kubernetes.io/{key}")].join(",");
    assert_eq!(
        [extra("pod-name"), extra("pod-uid"), extra("node-name"), extra("node-uid")],
        ["web", "pod-1", "one", "node-1"]
    );
    assert!(extra("credential-id").starts_with("JTI="));
}

#[test]
fn a_token_ends() {
    let (state, view) = (state(), world());
    let token = token_for(&state, &view, json!({"expirationSeconds": 600}));
    let at = |seconds: i64| state.tokens.authenticate(&view, &token, &[ISSUER], later(seconds)).map(|_| ());
    assert_eq!(at(0), Ok(()));
    assert_eq!(at(600), Ok(()));
    assert_eq!(at(601), Err(TokenError::Expired));
    assert_eq!(at(-30), Ok(()));
    assert_eq!(at(-61), Err(TokenError::Expired));
}

#[test]
fn what_a_kubelet_projects_outlives_its_renewal() {
    let (state, view) = (state(), world());
    let mut spec = bound_to("Pod", "web");
    spec["expirationSeconds"] = json!(3607);
    let token = token_for(&state, &view, spec);
    assert!(state.tokens.authenticate(&view, &token, &[ISSUER], later(86_400)).is_ok());
}

#[test]
fn a_token_is_for_its_audience() {
    let (state, view) = (state(), world());
    let token = token_for(&state, &view, json!({"audiences": ["vault", "db"]}));
    let verified = state.tokens.authenticate(&view, &token, &["db", "x"], now()).unwrap();
    assert_eq!(verified.audiences, ["db"]);
    assert!(matches!(state.tokens.authenticate(&view, &token, &[ISSUER], now()), Err(TokenError::Audience(..))));
}

#[test]
fn a_token_that_was_touched_is_refused() {
    let (state, view) = (state(), world());
    let token = token_for(&state, &view, json!({}));
    let check = |token: &str| state.tokens.authenticate(&view, token, &[ISSUER], now()).map(|_| ()).unwrap_err();
    let parts: Vec<&str> = token.split('.').collect();
    let other = token_for(&state, &view, json!({"audiences": ["x"]}));
    let payload = other.split('.').nth(1).unwrap();
    assert_eq!(check(&format!("{}.{payload}.{}", parts[0], parts[2])), TokenError::Signature);
    let unsigned = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":""}"#);
    assert_eq!(check(&format!("{unsigned}.{}.", parts[1])), TokenError::Signature);
    for nonsense in ["", "a", "a.b", "a.b.c", "....", "\u{e9}.x.y"] {
        assert_eq!(check(nonsense), TokenError::Malformed, "{nonsense:?}");
    }
    let elsewhere = super::super::world::state();
    let foreign = token_for(&elsewhere, &view, json!({}));
    assert_eq!(check(&foreign), TokenError::Signature);
}

#[test]
fn a_token_ends_with_what_it_is_bound_to() {
    let (state, mut view) = (state(), world());
    let token = token_for(&state, &view, bound_to("Pod", "web"));
    let check = |view: &View, at: Timestamp| state.tokens.authenticate(view, &token, &[ISSUER], at).map(|_| ()).is_ok();
    assert!(check(&view, now()));

    let pod = |uid: &str, deleted: Option<&str>| {
        json!({
            "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "web", "uid": uid, "deletionTimestamp": deleted},
            "spec": {"serviceAccountName": "till", "containers": []},
        })
    };
    add(&mut view, pod("pod-1", Some("2030-01-01T00:00:00Z")));
    assert!(check(&view, later(60)));
    assert!(!check(&view, later(61)));
    add(&mut view, pod("pod-9", None));
    assert!(!check(&view, now()));
    add(&mut view, pod("pod-1", None));
    assert!(check(&view, now()));
    add(&mut view, json!({"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "till", "uid": "sa-2"}}));
    assert!(!check(&view, now()));
}

#[test]
fn a_token_in_a_secret_lives_as_long_as_the_secret() {
    let (state, mut view) = (state(), world());
    let token = legacy_token(&state, &view, "shop", "till", "till-token").unwrap();
    let data = base64::engine::general_purpose::STANDARD.encode(&token);
    let check = |view: &View| state.tokens.authenticate(view, &token, &[ISSUER], now()).map(|found| found.user.name);
    assert!(check(&view).is_err());
    add(
        &mut view,
        json!({"kind": "Secret", "metadata": {"namespace": "shop", "name": "till-token"}, "data": {"token": data}}),
    );
    assert_eq!(check(&view).unwrap(), "system:serviceaccount:shop:till");
    add(
        &mut view,
        json!({"kind": "Secret", "metadata": {"namespace": "shop", "name": "till-token"}, "data": {"token": ""}}),
    );
    assert!(check(&view).is_err());
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let (state, view) = (state(), world());
    let message = |spec: Value| request(&state, &view, "root", spec).unwrap_err().message;
    assert_eq!(
        message(json!({"expirationSeconds": 60})),
        "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes"
    );
    assert_eq!(
        message(bound_to("Pod", "other")),
        "cannot bind token for serviceaccount \"till\" to pod running with different serviceaccount name."
    );
    assert_eq!(message(bound_to("Pod", "gone")), "pods \"gone\" not found");
    assert_eq!(message(bound_to("Service", "x")), "cannot bind token to object of type v1, Kind=Service");
    let mut other_uid = bound_to("Pod", "web");
    other_uid["boundObjectRef"]["uid"] = json!("pod-0");
    assert!(message(other_uid).contains("does not match the UID in record"));
}

#[test]
fn a_node_asks_only_for_its_own_pods() {
    let (state, view) = (state(), world());
    let ask =
        |node: &str, spec: Value| request(&state, &view, &format!("system:node:{node} system:nodes"), spec).is_ok();
    assert!(ask("one", bound_to("Pod", "web")));
    assert!(!ask("two", bound_to("Pod", "web")));
    assert!(!ask("one", json!({})));
}
