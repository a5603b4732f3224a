//! Watch: what happens to the objects of a kind, event by event.
//!
//! Invariant: between the revision that a client starts from and the last event or bookmark that it has seen, no
//! change that its selectors show is missing. When that can no longer be kept, an `ERROR` event says so and the watch
//! ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use api::{Kind, LogEntry, LogType, Object, Reason, Revision, Status};
use bytes::Bytes;
use http::StatusCode;
use rand::RngExt;
use store::Cursor;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::Selection;
use super::list::selection_of;
use super::options::ListOptions;
use super::render::{Form, Renderer};
use crate::http::media::{Accept, Encoding, not_acceptable};
use crate::route::Served;
use crate::{Body, Request, Response, Server};

/// How often a quiet watch tells how far it is, to clients that allow it.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How long a watch lasts whose client names no time: this, and up to as much again.
const LIFETIME: Duration = Duration::from_secs(1800);
/// Bytes of initial events that are sent at once, about.
const PIECE: usize = 64 * 1024;

/// Answers GET of a collection with `watch=true`.
///
/// # Errors
/// 400, 406 and 422 for bad parameters. A revision that is too old is told in an `ERROR` event.
pub(crate) fn watch(
    server: &Arc<Server>,
    served: &Served,
    request: &Request,
    accept: Accept,
) -> Result<Response, Status> {
    if accept.encoding != Encoding::Json {
        return Err(not_acceptable());
    }
    let options = ListOptions::parse(&request.query, true)?;
    let selection = selection_of(served, request)?;
    let renderer = Renderer::new(served, Form::of(accept, &request.query)?);
    let state = Watch::start(server, served, &options, selection, renderer);
    let stream = futures::stream::unfold(state, |mut watch| async move {
        let piece = watch.step().await?;
        Some((Ok(piece), watch))
    });
    let mut response = Response::bytes(StatusCode::OK, "application/json", Bytes::new());
    response.body = Body::Stream(Box::pin(stream));
    response.finite = false;
    Ok(response)
}

/// One client's watch.
struct Watch {
    /// `None` once the watch has said its last.
    cursor: Option<Cursor>,
    /// Changes up to here are not told: the client has them.
    known: Revision,
    /// Objects that are told first, as they are now.
    initial: VecDeque<Arc<Object>>,
    /// Revision of the bookmark that ends the initial events, when one is asked for.
    initial_end: Option<Revision>,
    /// Said before anything else.
    refusal: Option<Status>,
    selection: Selection,
    renderer: Renderer,
    /// Whether the next table carries its heads.
    heads: bool,
    bookmarks: bool,
    ticks: Interval,
    deadline: Instant,
    server: Arc<Server>,
}

impl Watch {
    fn start(
        server: &Arc<Server>,
        served: &Served,
        options: &ListOptions,
        selection: Selection,
        renderer: Renderer,
    ) -> Self {
        let view = server.store.view();
        let asked = options.revision.unwrap_or_default();
        let synthetic = options.initial_events.unwrap_or(asked == 0);
        let from = if asked == 0 || options.initial_events == Some(true) { view.revision() } else { asked };
        let initial =
            if synthetic { selection.objects(&view, &served.kind, None).cloned().collect() } else { VecDeque::new() };
        let (cursor, refusal) = match server.store.watch(served.kind.id, from.min(view.revision())) {
            Ok(cursor) => (Some(cursor), None),
            Err(compacted) => (None, Some(too_old(&compacted))),
        };
        let lifetime = options.timeout.unwrap_or_else(|| LIFETIME + rand::rng().random_range(Duration::ZERO..LIFETIME));
        let mut ticks = tokio::time::interval_at(Instant::now() + BOOKMARK, BOOKMARK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            cursor,
            known: from,
            initial,
            initial_end: (options.initial_events == Some(true) && options.bookmarks).then_some(view.revision()),
            refusal,
            selection,
            renderer,
            heads: true,
            bookmarks: options.bookmarks,
            ticks,
            deadline: Instant::now() + lifetime,
            server: Arc::clone(server),
        }
    }

    /// The next bytes; `None` at the end.
    async fn step(&mut self) -> Option<Bytes> {
        if let Some(refusal) = self.refusal.take() {
            self.cursor = None;
            return Some(error_event(&refusal));
        }
        let mut out = Vec::new();
        if self.initial(&mut out) {
            return Some(out.into());
        }
        loop {
            let cursor = self.cursor.as_mut()?;
            tokio::select! {
                biased;
                () = self.server.stopping.cancelled() => return None,
                () = tokio::time::sleep_until(self.deadline) => {
                    if self.bookmarks {
                        let progress = cursor.progress();
                        self.bookmark(progress, false, &mut out);
                    }
                    self.cursor = None;
                    return (!out.is_empty()).then(|| out.into());
                }
                entries = cursor.next() => match entries {
                    Ok(entries) => {
                        if let Some(events) = self.events(&entries) {
                            return Some(events);
                        }
                    }
                    Err(compacted) => {
                        self.cursor = None;
                        return Some(error_event(&too_old(&compacted)));
                    }
                },
                _ = self.ticks.tick(), if self.bookmarks => {
                    let progress = cursor.progress();
                    self.bookmark(progress, false, &mut out);
                }
            }
            if !out.is_empty() {
                return Some(out.into());
            }
        }
    }

    /// Writes the next initial events; false when there are none left.
    fn initial(&mut self, out: &mut Vec<u8>) -> bool {
        while let Some(object) = self.initial.pop_front() {
            self.event("ADDED", &object, out);
            if out.len() >= PIECE {
                return true;
            }
        }
        if let Some(revision) = self.initial_end.take() {
            self.bookmark(revision, true, out);
        }
        !out.is_empty()
    }

    /// The events that changes are; `None` when the selectors show none of them.
    fn events(&mut self, entries: &[Arc<LogEntry>]) -> Option<Bytes> {
        self.renderer.refresh();
        let known = self.known;
        let changes = entries.iter().filter(|entry| entry.revision > known);
        let shown: Vec<_> = changes.filter_map(|entry| shown(entry, &self.selection, self.renderer.kind())).collect();
        let mut out = Vec::new();
        match shown.as_slice() {
            [] => return None,
            [(event, object)] if self.renderer.is_stored_form() => {
                let server = Arc::clone(&self.server);
                let write = || {
                    self.event(event, object, &mut out);
                    out
                };
                return Some(server.rendered.event(object.header.revision, event, write));
            }
            many => many.iter().for_each(|(event, object)| self.event(event, object, &mut out)),
        }
        Some(out.into())
    }

    fn event(&mut self, event: &str, object: &Object, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":""#);
        out.extend_from_slice(event.as_bytes());
        out.extend_from_slice(br#"","object":"#);
        match self.renderer.form {
            Form::Table(_) => {
                let meta = format!("\"resourceVersion\":\"{}\"", object.header.revision);
                let heads = std::mem::take(&mut self.heads);
                out.extend_from_slice(&self.renderer.list_head(&meta, heads));
                self.renderer.item(object, out);
                out.extend_from_slice(b"]}");
            }
            Form::Whole | Form::Partial => self.renderer.item(object, out),
        }
        out.extend_from_slice(b"}\n");
    }

    fn bookmark(&self, revision: Revision, ends_initial: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"BOOKMARK","object":"#);
        out.extend_from_slice(&self.renderer.bookmark(revision, ends_initial));
        out.extend_from_slice(b"}\n");
    }
}

/// What a change looks like through selectors: an object that starts to match is added, one that stops is deleted.
fn shown(entry: &LogEntry, selection: &Selection, kind: &Kind) -> Option<(&'static str, Arc<Object>)> {
    let before = entry.previous.as_ref().filter(|object| selection.matches(&object.header));
    let after = (entry.kind != LogType::Deleted && selection.matches(&entry.object.header)).then_some(&entry.object);
    match (before, after) {
        (None, None) => None,
        (None, Some(object)) => Some(("ADDED", Arc::clone(object))),
        (Some(_), Some(object)) => Some(("MODIFIED", Arc::clone(object))),
        (Some(_), None) if entry.kind == LogType::Deleted => Some(("DELETED", Arc::clone(&entry.object))),
        // Whoever selects sees the state that still matched, at the revision at which it stopped to.
        (Some(before), None) => Some(("DELETED", Arc::new(Object::seal(kind, before.value(), entry.revision)))),
    }
}

fn error_event(status: &Status) -> Bytes {
    format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status.to_json()).into()
}

fn too_old(compacted: &store::Compacted) -> Status {
    Status::new(Reason::Expired, compacted.to_string())
}
