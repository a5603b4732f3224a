//! OpenAPI documents: `/openapi/v3` with one document per group version, and `/openapi/v2` with everything.
//!
//! Documents are made when first asked for and kept compressed. The index names each by the hash of its bytes, so
//! that clients keep what did not change (KEP-2896).

mod paths;
mod protobuf;

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use api::Status;
use api::schema::{Definitions, Dialect, SchemaSet};
use api::status::Reason;
use http::header::{CACHE_CONTROL, EXPIRES, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use ring::digest;
use serde::Serialize;
use serde_json::{Value, json};

use super::accepted;
use super::cached::{Cached, hex, write_json};
use super::resources::{Group, Version};
use crate::request::Query;
use crate::{Response, Server};

/// What clients ask version 2 in, beside JSON; the second spelling is not a valid media type but still sent.
const V2_PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// Documents that were made already.
#[derive(Default)]
pub struct State {
    /// Hashes of version 3's documents by path.
    hashes: OnceLock<HashMap<String, String>>,
    documents: Mutex<HashMap<String, Arc<Cached>>>,
}

impl State {
    fn document(&self, name: &str, make: impl FnOnce() -> Cached) -> Arc<Cached> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(documents.entry(name.to_owned()).or_insert_with(|| Arc::new(make())))
    }
}

#[derive(Serialize)]
struct DocumentV3<'a> {
    openapi: &'static str,
    info: Value,
    paths: Value,
    components: Components<'a>,
}

#[derive(Serialize)]
struct Components<'a> {
    schemas: Definitions<'a>,
}

#[derive(Serialize)]
struct DocumentV2<'a> {
    swagger: &'static str,
    info: Value,
    paths: Value,
    definitions: Definitions<'a>,
}

fn info(server: &Server) -> Value {
    json!({"title": "Kubernetes", "version": format!("v{}", server.config.version)})
}

fn document_v3<'a>(server: &'a Server, version: &Version) -> DocumentV3<'a> {
    let set = &server.schemas;
    DocumentV3 {
        openapi: "3.0.0",
        info: info(server),
        paths: paths::paths(set, version, Dialect::V3),
        components: Components { schemas: definitions(set, [version], Dialect::V3) },
    }
}

fn document_v2<'a>(server: &'a Server, groups: &[Group]) -> DocumentV2<'a> {
    let set = &server.schemas;
    let versions = || groups.iter().flat_map(|group| &group.versions);
    let mut all = serde_json::Map::new();
    for version in versions() {
        if let Value::Object(own) = paths::paths(set, version, Dialect::V2) {
            all.extend(own);
        }
    }
    DocumentV2 {
        swagger: "2.0",
        info: info(server),
        paths: Value::Object(all),
        definitions: definitions(set, versions(), Dialect::V2),
    }
}

/// The definitions that these versions' resources use.
fn definitions<'a, 'v>(
    set: &'a SchemaSet,
    versions: impl IntoIterator<Item = &'v Version>,
    dialect: Dialect,
) -> Definitions<'a> {
    let mut roots: Vec<&str> = paths::SHARED.to_vec();
    for resource in versions.into_iter().flat_map(|version| &version.resources) {
        let kinds = resource.subresources.iter().map(|one| one.of).chain([resource.of]);
        roots.extend(kinds.filter_map(|of| paths::definition(set, of.group, of.version, of.kind)));
        let list = format!("{}List", resource.of.kind);
        roots.extend(paths::definition(set, resource.of.group, resource.of.version, &list));
    }
    Definitions::reachable(set, roots, dialect)
}

/// `/openapi/v2`, as JSON or protobuf.
///
/// # Errors
/// 406 when the client accepts neither.
pub fn v2(server: &Server, headers: &HeaderMap) -> Result<Option<Response>, Status> {
    let accept = accepted(headers);
    let first = accept.split(',').map(|media| media.split(';').next().unwrap_or_default().trim()).find(|media| {
        V2_PROTOBUF.contains(media) || matches!(*media, "" | "*/*" | "application/*" | "application/json")
    });
    let (state, groups) = (&server.discovery.openapi, server.discovery.groups(server));
    let document = match first {
        None => {
            let message = "only the following media types are accepted: application/json, \
                           application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
            return Err(Status::new(Reason::NotAcceptable, message));
        }
        Some(media) if V2_PROTOBUF.contains(&media) => state
            .document("v2 protobuf", || Cached::new(V2_PROTOBUF[0], protobuf::encode(&document_v2(server, groups)))),
        Some(_) => state.document("v2", || Cached::json("application/json", &document_v2(server, groups))),
    };
    Ok(Some(document.answer(headers, "Accept")))
}

/// `/openapi/v3`: where each group version's document is.
pub fn v3_index(server: &Server, headers: &HeaderMap) -> Response {
    let document = server.discovery.openapi.document("v3", || {
        let entries: serde_json::Map<String, Value> = hashes(server)
            .iter()
            .map(|(path, hash)| (path.clone(), json!({"serverRelativeURL": location(path, hash)})))
            .collect();
        Cached::json("application/json", &json!({"paths": entries}))
    });
    document.answer(headers, "Accept")
}

/// `/openapi/v3/PATH`, for example `/openapi/v3/apis/apps/v1`; `None` for a path that is not served.
pub fn v3(server: &Server, path: &str, query: &Query, headers: &HeaderMap) -> Option<Response> {
    let hash = hashes(server).get(path)?;
    if query.text("hash").is_some_and(|asked| asked != hash) {
        let mut moved = Response::text(StatusCode::MOVED_PERMANENTLY, "");
        moved.headers.insert(LOCATION, HeaderValue::from_str(&location(path, hash)).ok()?);
        return Some(moved);
    }
    let version = versions(server).find(|version| version.path() == path)?;
    let document =
        server.discovery.openapi.document(path, || Cached::json("application/json", &document_v3(server, version)));
    let mut response = document.answer(headers, "Accept");
    if query.text("hash").is_some() {
        let year = Timestamp::now() + SignedDuration::from_hours(365 * 24);
        let expires = year.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        response.headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        response.headers.insert(EXPIRES, HeaderValue::from_str(&expires).ok()?);
    }
    Some(response)
}

fn location(path: &str, hash: &str) -> String {
    format!("/openapi/v3/{path}?hash={hash}")
}

fn versions(server: &Server) -> impl Iterator<Item = &Version> {
    server.discovery.groups(server).iter().flat_map(|group| &group.versions)
}

/// The hash of every document. Nothing is kept of the documents themselves: most are never asked for.
fn hashes(server: &Server) -> &HashMap<String, String> {
    server.discovery.openapi.hashes.get_or_init(|| {
        let hash = |version: &Version| {
            let mut hasher = Hasher(digest::Context::new(&digest::SHA256));
            write_json(&document_v3(server, version), &mut hasher);
            hex(hasher.0.finish().as_ref())
        };
        versions(server).map(|version| (version.path(), hash(version))).collect()
    })
}

struct Hasher(digest::Context);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
