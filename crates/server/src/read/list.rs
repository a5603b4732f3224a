//! List: the objects of a kind at one revision, whole or in chunks.

use std::sync::Arc;

use api::{Object, Reason, Revision, Status, View};
use http::StatusCode;
use serde_json::json;

use super::Selection;
use super::options::{ListOptions, Match, too_large};
use super::page::Position;
use super::render::{Form, Renderer};
use crate::http::media::Accept;
use crate::route::Served;
use crate::{Request, Response, Server};

const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// From where a list is taken.
struct Source {
    view: View,
    /// The last object of the chunk before.
    after: Option<(String, String)>,
}

/// Answers GET of a collection.
///
/// # Errors
/// 400 and 422 for bad parameters, 410 for revisions that are no longer kept, 504 for such that are not there yet.
pub(crate) async fn list(
    server: &Arc<Server>,
    served: &Served,
    request: &Request,
    accept: Accept,
) -> Result<Response, Status> {
    let options = ListOptions::parse(&request.query, false)?;
    let selection = selection_of(served, request)?;
    let renderer = Renderer::new(served, Form::of(accept, &request.query)?);
    let source = match &options.start {
        Some(token) => {
            let position = Position::parse(token)?;
            if options.revision.is_some_and(|revision| revision != 0) {
                return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
            }
            match resume(server, &position) {
                Some(source) => source,
                None => return Ok(expired(&position)),
            }
        }
        None => Source { view: start(server, &options).await?, after: None },
    };
    Ok(answer(server, served, &selection, &options, source, &renderer))
}

/// What a request selects.
///
/// # Errors
/// 400 for bad selectors.
pub(super) fn selection_of(served: &Served, request: &Request) -> Result<Selection, Status> {
    Selection::parse(&served.kind, &request.attributes.namespace, &request.attributes.name, &request.query)
}

/// The view at which a list starts.
async fn start(server: &Server, options: &ListOptions) -> Result<View, Status> {
    let revision = options.revision.unwrap_or_default();
    // A limit with a revision but without a match means exactly that revision, as it did before there was a match.
    let exact = options.matching == Match::Exact || (options.matching == Match::Unset && options.limit > 0);
    if revision == 0 || !exact {
        return server.view_from(revision).await;
    }
    at(server, revision)
}

/// The view of exactly one revision.
fn at(server: &Server, revision: Revision) -> Result<View, Status> {
    if let Some(view) = server.store.view_at(revision) {
        return Ok(view);
    }
    let current = server.store.view().revision();
    if revision > current {
        return Err(too_large(revision, current));
    }
    Err(Status::new(Reason::Expired, "The resourceVersion for the provided list is too old."))
}

/// Where a chunked list goes on; `None` when its revision is no longer kept.
fn resume(server: &Server, position: &Position) -> Option<Source> {
    let after = Some(position.last());
    match Revision::try_from(position.revision) {
        Ok(revision) => server.store.view_at(revision).map(|view| Source { view, after }),
        Err(_) => Some(Source { view: server.store.view(), after }),
    }
}

/// 410 with a token to go on with inconsistently.
fn expired(position: &Position) -> Response {
    let (namespace, name) = position.last();
    let mut body = Status::new(Reason::Expired, CONTINUE_EXPIRED).to_json();
    body["metadata"] = json!({"continue": Position::after(-1, &namespace, &name).token()});
    Response::json(StatusCode::GONE, &body)
}

fn answer(
    server: &Server,
    served: &Served,
    selection: &Selection,
    options: &ListOptions,
    source: Source,
    renderer: &Renderer,
) -> Response {
    let limit = if options.limit == 0 { usize::MAX } else { options.limit };
    let mut matching = selection.objects(&source.view, &served.kind, source.after.as_ref());
    let objects: Vec<Arc<Object>> = matching.by_ref().take(limit).cloned().collect();
    let more = matching.next().is_some();
    let remaining = if more && selection.is_everything() { Some(1 + matching.count()) } else { None };
    let mut meta = format!("\"resourceVersion\":\"{}\"", source.view.revision());
    if let Some(last) = objects.last().filter(|_| more) {
        // What went on inconsistently is consistent from here on: the rest is of this view.
        let revision = i64::try_from(source.view.revision()).unwrap_or(i64::MAX);
        let key = &last.header.key;
        let token = Position::after(revision, &key.namespace, &key.name).token();
        meta.push_str(&format!(",\"continue\":\"{token}\""));
    }
    if let Some(remaining) = remaining {
        meta.push_str(&format!(",\"remainingItemCount\":{remaining}"));
    }
    if more {
        server.store.pin(source.view.clone());
    }
    renderer.list(&meta, objects)
}
