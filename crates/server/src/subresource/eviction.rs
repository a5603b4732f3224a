//! `eviction`: a pod is asked to leave (`kubectl drain`).
//!
//! Deliberately absent: disruption budgets, until a controller keeps their status.

use std::sync::Arc;

use api::Status;

use super::success;
use crate::route::Served;
use crate::write::http::op;
use crate::write::{DeleteOptions, Part, WriteOptions};
use crate::{Request, Response, Server, write};

/// Answers `create` of `pods/NAME/eviction`.
///
/// # Errors
/// A refusal.
pub(crate) async fn handle(server: &Arc<Server>, served: &Served, mut request: Request) -> Result<Response, Status> {
    let mut dry_run = WriteOptions::parse(&request.query, "CreateOptions")?.dry_run;
    let body = super::question(server, &mut request).await?;
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    if !name.is_empty() && name != request.attributes.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let wanted = &body["deleteOptions"];
    let options = DeleteOptions::parse(wanted.is_object().then_some(wanted), &crate::request::Query::default())?;
    dry_run |= options.dry_run;
    let op = op(server, served, &request, Part::Main, dry_run);
    write::delete(&op, &options).await?;
    Ok(success())
}
