//! Subresources that are kinds of their own: Scale, Binding, Eviction, TokenRequest; and the questions that are
//! never stored.

pub(crate) mod binding;
pub(crate) mod eviction;
pub(crate) mod scale;

use std::sync::Arc;

use api::Status;
use http::StatusCode;
use serde_json::{Value, json};

use crate::http::media::body_encoding;
use crate::route::method_not_allowed;
use crate::write::http::take_body;
use crate::{Attributes, Request, Response, Server, auth, write};

/// What is asked about and never stored, beside the catalogue's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unstored {
    /// TokenReview, SubjectAccessReview and their kin.
    Review,
    /// `POST …/bindings`, the old way to bind a pod.
    Binding,
}

/// Whether a request is about something that is never stored.
pub(crate) fn unstored(attributes: &Attributes) -> Option<Unstored> {
    if !attributes.subresource.is_empty() || attributes.version != "v1" {
        return None;
    }
    match (attributes.group.as_str(), attributes.resource.as_str()) {
        ("authentication.k8s.io", "tokenreviews" | "selfsubjectreviews")
        | (
            "authorization.k8s.io",
            "subjectaccessreviews"
            | "selfsubjectaccessreviews"
            | "selfsubjectrulesreviews"
            | "localsubjectaccessreviews",
        ) => Some(Unstored::Review),
        ("", "bindings") => Some(Unstored::Binding),
        _ => None,
    }
}

/// Answers `create` of something that is never stored.
///
/// # Errors
/// A refusal.
pub(crate) async fn answer(server: &Arc<Server>, what: Unstored, mut request: Request) -> Result<Response, Status> {
    let body = question(server, &mut request).await?;
    match what {
        Unstored::Review => {
            let answer = auth::review(server, &request, body).await?;
            Ok(Response::json(StatusCode::CREATED, &answer))
        }
        Unstored::Binding => binding::bind(server, &request, &body).await,
    }
}

/// Answers `create` of `serviceaccounts/NAME/token`.
///
/// # Errors
/// A refusal.
pub(crate) async fn token(server: &Arc<Server>, mut request: Request) -> Result<Response, Status> {
    let body = question(server, &mut request).await?;
    let answer = auth::token(server, &request, body).await?;
    Ok(Response::json(StatusCode::CREATED, &answer))
}

/// The body of a `create`, as a JSON object.
pub(crate) async fn question(server: &Server, request: &mut Request) -> Result<Value, Status> {
    if request.attributes.verb != "create" {
        return Err(method_not_allowed());
    }
    let encoding = body_encoding(&request.headers)?;
    let bytes = take_body(request).await?;
    let body = write::parse(&server.schemas, &bytes, encoding)?.value;
    if body.is_object() { Ok(body) } else { Err(Status::bad_request("the body of the request is not an object")) }
}

/// The answer to a `create` that makes nothing to show.
fn success() -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Response::json(StatusCode::CREATED, &status)
}
