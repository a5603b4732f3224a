//! The kinds that are questions: who am I, whose token is this, may somebody do something, what may I do.

use std::sync::Arc;

use api::{FieldErrors, Path, Status, View};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::TokenReviewSpec;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReviewSpec, SubjectAccessReviewSpec,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{State, decide};
use crate::{Attributes, Request, Server, User};

const AUTHORIZATION: &str = "authorization.k8s.io";

/// Answers a `create` of the kinds that are questions and never stored: TokenReview, SelfSubjectReview, the
/// SubjectAccessReviews and SelfSubjectRulesReview.
///
/// # Errors
/// When the question is malformed.
pub async fn review(server: &Arc<Server>, request: &Request, question: Value) -> Result<Value, Status> {
    let asked = Asked {
        state: &server.auth,
        view: &server.store.view(),
        user: &request.user,
        attributes: &request.attributes,
        now: Timestamp::now(),
    };
    asked.answer(question)
}

struct Asked<'a> {
    state: &'a State,
    view: &'a View,
    user: &'a User,
    attributes: &'a Attributes,
    now: Timestamp,
}

impl Asked<'_> {
    fn answer(&self, mut question: Value) -> Result<Value, Status> {
        let resource = self.attributes.resource.as_str();
        let (kind, status) = match (self.attributes.group.as_str(), resource) {
            ("authentication.k8s.io", "selfsubjectreviews") => {
                ("SelfSubjectReview", json!({"userInfo": user_info(self.user)}))
            }
            ("authentication.k8s.io", "tokenreviews") => ("TokenReview", self.token(&question)?),
            (AUTHORIZATION, "selfsubjectaccessreviews") => ("SelfSubjectAccessReview", self.own_access(&question)?),
            (AUTHORIZATION, "subjectaccessreviews") => {
                ("SubjectAccessReview", self.access("SubjectAccessReview", &question)?)
            }
            (AUTHORIZATION, "localsubjectaccessreviews") => ("LocalSubjectAccessReview", self.local_access(&question)?),
            (AUTHORIZATION, "selfsubjectrulesreviews") => ("SelfSubjectRulesReview", self.rules(&question)?),
            (group, _) => return Err(Status::not_found(group, resource, "")),
        };
        let mut answer = json!({
            "kind": kind,
            "apiVersion": format!("{}/{}", self.attributes.group, self.attributes.version),
            "metadata": question["metadata"].take(),
            "spec": question["spec"].take(),
            "status": status,
        });
        if let Some(fields) = answer.as_object_mut() {
            if fields["spec"].is_null() {
                fields.remove("spec");
            }
            let meta = &mut fields["metadata"];
            *meta = json!({"creationTimestamp": meta.get("creationTimestamp").cloned().unwrap_or_default()});
        }
        Ok(answer)
    }

    fn token(&self, question: &Value) -> Result<Value, Status> {
        let spec: TokenReviewSpec = spec_of("TokenReview", question)?;
        if spec.token.is_empty() {
            return Err(Status::bad_request("token is required for TokenReview in authentication"));
        }
        let own = [self.state.tokens.issuer().to_owned()];
        let audiences = spec.audiences.as_deref().filter(|list| !list.is_empty()).unwrap_or(&own);
        let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
        Ok(match self.state.tokens.authenticate(self.view, &spec.token, &audiences, self.now) {
            Ok(verified) => json!({
                "authenticated": true,
                "user": user_info(&verified.user),
                "audiences": verified.audiences,
            }),
            Err(why) => json!({"user": {}, "error": format!("[invalid bearer token, {why}]")}),
        })
    }

    fn own_access(&self, question: &Value) -> Result<Value, Status> {
        let kind = "SelfSubjectAccessReview";
        let spec: SelfSubjectAccessReviewSpec = spec_of(kind, question)?;
        let wanted = wanted(kind, spec.resource_attributes, spec.non_resource_attributes, FieldErrors::default())?;
        Ok(self.decided(self.user, &wanted))
    }

    fn access(&self, kind: &str, question: &Value) -> Result<Value, Status> {
        let spec: SubjectAccessReviewSpec = spec_of(kind, question)?;
        let user = User {
            name: spec.user.unwrap_or_default(),
            uid: spec.uid.unwrap_or_default(),
            groups: spec.groups.unwrap_or_default(),
            extra: spec.extra.unwrap_or_default(),
        };
        let mut errors = FieldErrors::default();
        if user.name.is_empty() && user.groups.is_empty() {
            let detail = "at least one of user or group must be specified";
            errors.invalid(&Path::new("spec.user"), "", detail);
        }
        let wanted = wanted(kind, spec.resource_attributes, spec.non_resource_attributes, errors)?;
        Ok(self.decided(&user, &wanted))
    }

    fn local_access(&self, question: &Value) -> Result<Value, Status> {
        let namespace = question["spec"]["resourceAttributes"]["namespace"].as_str().unwrap_or_default();
        if namespace != self.attributes.namespace {
            let mut errors = FieldErrors::default();
            let detail = "must match metadata.namespace";
            errors.invalid(&Path::new("spec.resourceAttributes.namespace"), namespace, detail);
            return Err(Status::invalid(AUTHORIZATION, "LocalSubjectAccessReview", "", &errors));
        }
        self.access("LocalSubjectAccessReview", question)
    }

    fn decided(&self, user: &User, wanted: &Attributes) -> Value {
        let decision = decide(self.state, self.view, user, wanted);
        let mut status = json!({"allowed": decision.allowed});
        if !decision.reason.is_empty() {
            status["reason"] = json!(decision.reason);
        }
        status
    }

    fn rules(&self, question: &Value) -> Result<Value, Status> {
        let namespace = question["spec"]["namespace"].as_str().unwrap_or_default();
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        let index = self.state.rbac.index(self.view);
        let (mut resources, mut urls) = (Vec::new(), Vec::new());
        for rule in index.grants(self.user, namespace).flat_map(|grant| grant.rules.iter()) {
            if !rule.resources.is_empty() {
                let mut shown = json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources});
                if !rule.names.is_empty() {
                    shown["resourceNames"] = json!(rule.names);
                }
                resources.push(shown);
            }
            if !rule.urls.is_empty() {
                urls.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.urls}));
            }
        }
        Ok(json!({"resourceRules": resources, "nonResourceRules": urls, "incomplete": false}))
    }
}

fn spec_of<S: DeserializeOwned>(kind: &str, question: &Value) -> Result<S, Status> {
    S::deserialize(&question["spec"])
        .map_err(|why| Status::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {why}")))
}

/// What is asked about: exactly one of the two must be there.
fn wanted(
    kind: &str,
    resource: Option<ResourceAttributes>,
    path: Option<NonResourceAttributes>,
    mut errors: FieldErrors,
) -> Result<Attributes, Status> {
    let both = "cannot be specified in combination with resourceAttributes";
    let neither = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    match (&resource, &path) {
        (Some(_), Some(_)) => errors.invalid(&Path::new("spec.nonResourceAttributes"), Value::Null, both),
        (None, None) => errors.invalid(&Path::new("spec.resourceAttributes"), Value::Null, neither),
        _ => {}
    }
    if !errors.is_empty() {
        return Err(Status::invalid(AUTHORIZATION, kind, "", &errors));
    }
    if let Some(path) = path {
        let (path, verb) = (path.path.unwrap_or_default(), path.verb.unwrap_or_default());
        return Ok(Attributes { verb, path, ..Attributes::default() });
    }
    let asked = resource.unwrap_or_default();
    Ok(Attributes {
        verb: asked.verb.unwrap_or_default(),
        is_resource: true,
        group: asked.group.unwrap_or_default(),
        version: asked.version.unwrap_or_default(),
        resource: asked.resource.unwrap_or_default(),
        subresource: asked.subresource.unwrap_or_default(),
        namespace: asked.namespace.unwrap_or_default(),
        name: asked.name.unwrap_or_default(),
        ..Attributes::default()
    })
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

#[cfg(test)]
mod cases;
