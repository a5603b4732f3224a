//! Get: one object.

use std::sync::Arc;

use api::Status;
use http::StatusCode;

use super::options::revision;
use super::render::{Form, Renderer};
use crate::http::media::Accept;
use crate::route::Served;
use crate::{Request, Response, Server};

/// Answers GET of one object.
///
/// # Errors
/// 404, or 504 for a resource version that has not come about.
pub(crate) async fn get(
    server: &Arc<Server>,
    served: &Served,
    request: &Request,
    accept: Accept,
) -> Result<Response, Status> {
    let from = revision(request.query.text("resourceVersion"))?;
    let view = server.view_from(from.unwrap_or_default()).await?;
    let (namespace, name) = (&request.attributes.namespace, &request.attributes.name);
    let object = view.object(&served.key(namespace, name)).ok_or_else(|| served.not_found(name))?;
    let renderer = Renderer::new(served, Form::of(accept, &request.query)?);
    Ok(renderer.object(StatusCode::OK, object))
}
