//! Objects in the form that a client asked for: whole, as a table, or metadata alone.
//!
//! Invariant: whole objects in their stored version are sent as the bytes that are stored.

use std::sync::Arc;

use api::{Kind, Object, Revision, Row, Status};
use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::table;
use crate::http::media::{Accept, Shape};
use crate::request::Query;
use crate::route::Served;
use crate::{Body, Response};

/// What a table's rows carry beside their cells (`includeObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

/// The form of what is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    Partial,
    Table(Include),
}

impl Form {
    /// The form that a request asks for.
    ///
    /// # Errors
    /// 400 for an `includeObject` that is not known.
    pub(crate) fn of(accept: Accept, query: &Query) -> Result<Self, Status> {
        Ok(match accept.shape {
            Shape::Whole => Self::Whole,
            Shape::Partial => Self::Partial,
            Shape::Table => Self::Table(match query.text("includeObject") {
                None | Some("Metadata") => Include::Metadata,
                Some("None") => Include::Nothing,
                Some("Object") => Include::Object,
                Some(other) => {
                    return Err(Status::bad_request(format!("unrecognized includeObject value: {other:?}")));
                }
            }),
        })
    }
}

/// Writes objects of one kind in one form.
#[derive(Clone)]
pub(crate) struct Renderer {
    served: Served,
    pub(super) form: Form,
    row: Row,
}

impl Renderer {
    /// A renderer; ages count from now.
    pub(crate) fn new(served: &Served, form: Form) -> Self {
        Self { served: served.clone(), form, row: Row { now: Timestamp::now() } }
    }

    /// Whether objects are sent as they are stored, so that what is written for one client serves all.
    pub(super) fn is_stored_form(&self) -> bool {
        self.form == Form::Whole && self.served.alias.is_none()
    }

    /// The kind of the objects.
    pub(super) fn kind(&self) -> &Kind {
        &self.served.kind
    }

    /// The object of a bookmark event (KEP-956); `ends_initial` marks the end of the initial events (KEP-3157).
    pub(super) fn bookmark(&self, revision: Revision, ends_initial: bool) -> Vec<u8> {
        let mut meta = json!({"resourceVersion": revision.to_string()});
        if ends_initial {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.form {
            Form::Whole => json!({"kind": self.kind().kind, "apiVersion": self.served.api_version(), "metadata": meta}),
            Form::Partial => json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}),
            Form::Table(_) => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": [], "rows": [],
            }),
        };
        object.to_string().into_bytes()
    }

    /// Makes ages count from now again.
    pub(super) fn refresh(&mut self) {
        self.row = Row { now: Timestamp::now() };
    }

    /// An answer with one object.
    pub(crate) fn object(&self, status: StatusCode, object: &Object) -> Response {
        let body = match self.form {
            Form::Whole => self.whole(object),
            Form::Partial => {
                let mut out = Vec::new();
                self.item(object, &mut out);
                out.into()
            }
            Form::Table(_) => {
                let mut out = self.list_head(&format!("\"resourceVersion\":\"{}\"", object.header.revision), true);
                self.item(object, &mut out);
                out.extend_from_slice(b"]}");
                out.into()
            }
        };
        Response::bytes(status, "application/json", body)
    }

    /// An object in the version asked for.
    pub(super) fn whole(&self, object: &Object) -> Bytes {
        let Some(alias) = self.served.alias else { return object.json.clone() };
        let mut value = object.value();
        (alias.serve)(&mut value);
        serde_json::to_vec(&value).expect("a JSON value always serialises").into()
    }

    /// Appends an object as an element of the list.
    pub(super) fn item(&self, object: &Object, out: &mut Vec<u8>) {
        match self.form {
            Form::Whole if self.served.alias.is_none() => out.extend_from_slice(&object.json),
            Form::Whole => out.extend_from_slice(&self.whole(object)),
            Form::Partial => {
                out.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#);
                out.extend_from_slice(metadata(object));
                out.push(b'}');
            }
            Form::Table(include) => self.table_row(object, include, out),
        }
    }

    fn table_row(&self, object: &Object, include: Include, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"cells":"#);
        let cells = table::cells(&self.served.kind, object, self.row);
        serde_json::to_writer(&mut *out, &cells).expect("cells always serialise");
        match include {
            Include::Nothing => {}
            Include::Object => {
                out.extend_from_slice(br#","object":"#);
                out.extend_from_slice(&self.whole(object));
            }
            Include::Metadata => {
                out.extend_from_slice(
                    br#","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#,
                );
                out.extend_from_slice(metadata(object));
                out.push(b'}');
            }
        }
        out.push(b'}');
    }

    /// What stands before the elements of a list; `meta` is what is in the list's metadata.
    pub(super) fn list_head(&self, meta: &str, heads: bool) -> Vec<u8> {
        let head = match self.form {
            Form::Whole => format!(
                r#"{{"kind":"{}List","apiVersion":"{}","metadata":{{{meta}}},"items":["#,
                self.served.kind.kind,
                self.served.api_version(),
            ),
            Form::Partial => format!(
                r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{{{meta}}},"items":["#
            ),
            Form::Table(_) => format!(
                r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{{{meta}}},"columnDefinitions":{},"rows":["#,
                if heads { table::heads(&self.served.kind).to_string() } else { "[]".to_owned() },
            ),
        };
        head.into_bytes()
    }

    /// A list of these objects.
    pub(crate) fn list(&self, meta: &str, objects: Vec<Arc<Object>>) -> Response {
        let head = self.list_head(meta, true);
        let mut pieces =
            Pieces { renderer: self.clone(), objects: objects.into_iter(), next: head, at_first: true, ended: false };
        let first = pieces.next().unwrap_or_default();
        let mut response = Response::bytes(StatusCode::OK, "application/json", first.clone());
        if !pieces.ended {
            let all = std::iter::once(first).chain(pieces).map(Ok);
            response.body = Body::Stream(Box::pin(futures::stream::iter(all)));
        }
        response
    }
}

/// Bytes of one piece of a long list, about.
const PIECE: usize = 128 * 1024;

/// A long list, made piece by piece while it is sent.
struct Pieces {
    renderer: Renderer,
    objects: std::vec::IntoIter<Arc<Object>>,
    /// What the next piece starts with.
    next: Vec<u8>,
    at_first: bool,
    ended: bool,
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut piece = std::mem::take(&mut self.next);
        for object in self.objects.by_ref() {
            if !std::mem::take(&mut self.at_first) {
                piece.push(b',');
            }
            self.renderer.item(&object, &mut piece);
            if piece.len() >= PIECE {
                return Some(piece.into());
            }
        }
        self.ended = true;
        piece.extend_from_slice(b"]}");
        Some(piece.into())
    }
}

#[derive(Deserialize)]
struct MetadataOnly<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// The bytes of an object's metadata.
fn metadata(object: &Object) -> &[u8] {
    serde_json::from_slice::<MetadataOnly<'_>>(&object.json).map_or(b"{}", |found| found.metadata.get().as_bytes())
}
