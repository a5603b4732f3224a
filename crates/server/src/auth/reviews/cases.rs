//! Questions and their answers.

use super::*;
use crate::auth::bootstrap_roles;
use crate::auth::world::{asked, state, user, view};

fn answer(who: &str, resource: &str, question: Value) -> Result<Value, Status> {
    let state = state();
    let asked = Asked {
        state: &state,
        view: &view(bootstrap_roles()),
        user: &user(who),
        attributes: &asked(&format!("create {resource}")),
        now: Timestamp::UNIX_EPOCH,
    };
    asked.answer(question)
}

#[test]
fn who_am_i() {
    let answer = answer("jane dev", "-/selfsubjectreviews.authentication.k8s.io", json!({})).unwrap();
    assert_eq!(answer["kind"], "SelfSubjectReview");
    assert_eq!(answer["apiVersion"], "authentication.k8s.io/v1");
    assert_eq!(answer["status"]["userInfo"], json!({"username": "jane", "groups": ["dev"]}));
}

#[test]
fn may_i() {
    let ask = |who: &str, spec: Value| {
        let resource = "-/selfsubjectaccessreviews.authorization.k8s.io";
        answer(who, resource, json!({"spec": spec})).map(|answer| answer["status"]["allowed"] == json!(true))
    };
    let pods = json!({"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "a"}});
    assert_eq!(ask("root system:masters", pods.clone()), Ok(true));
    assert_eq!(ask("jane system:authenticated", pods), Ok(false));
    let version = json!({"nonResourceAttributes": {"verb": "get", "path": "/version"}});
    assert_eq!(ask("system:anonymous system:unauthenticated", version), Ok(true));
    assert_eq!(
        ask("jane", json!({})).unwrap_err().message,
        "SelfSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: \
         exactly one of nonResourceAttributes or resourceAttributes must be specified"
    );
}

#[test]
fn may_they() {
    let question = json!({"spec": {
        "user": "system:kube-scheduler",
        "resourceAttributes": {"verb": "create", "resource": "pods", "subresource": "binding", "namespace": "a"},
    }});
    let allowed = answer("root", "-/subjectaccessreviews.authorization.k8s.io", question.clone()).unwrap();
    assert_eq!(
        allowed["status"],
        json!({"allowed": true, "reason": "RBAC: allowed by ClusterRoleBinding \"system:kube-scheduler\" of ClusterRole \
        \"system:kube-scheduler\" to User \"system:kube-scheduler\""})
    );
    assert!(answer("root", "a/localsubjectaccessreviews.authorization.k8s.io", question.clone()).is_ok());
    assert_eq!(answer("root", "b/localsubjectaccessreviews.authorization.k8s.io", question).unwrap_err().code(), 422);
}

#[test]
fn what_may_i() {
    let resource = "-/selfsubjectrulesreviews.authorization.k8s.io";
    let answer = answer("root system:masters", resource, json!({"spec": {"namespace": "a"}})).unwrap();
    assert_eq!(answer["status"]["resourceRules"][0], json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
    assert_eq!(answer["status"]["nonResourceRules"][0], json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
}

#[test]
fn a_token_that_is_not_good_is_not_authenticated() {
    let resource = "-/tokenreviews.authentication.k8s.io";
    let answer = answer("root", resource, json!({"spec": {"token": "x"}})).unwrap();
    assert_eq!(answer["status"]["authenticated"], Value::Null);
    assert_eq!(answer["status"]["error"], "[invalid bearer token, invalid bearer token]");
}
