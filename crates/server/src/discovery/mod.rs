//! What the server offers: discovery, OpenAPI, version, health and metrics.
//!
//! Everything here is made from the catalogue and the schemas when first asked for, and kept: small answers as they
//! are, OpenAPI documents compressed.

mod aggregated;
mod cached;
#[cfg(test)]
mod cases;
mod health;
mod legacy;
mod metrics;
mod openapi;
mod resources;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use api::Status;
use http::header::ACCEPT;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::{Config, Request, Response, Server, SetupError, auth};
use cached::Cached;
use resources::Group;

/// What discovery keeps between requests.
pub struct State {
    groups: OnceLock<Vec<Group>>,
    answers: Mutex<HashMap<String, Arc<Cached>>>,
    openapi: openapi::State,
    metrics: metrics::Metrics,
}

impl State {
    /// An empty state.
    ///
    /// # Errors
    /// Never yet.
    pub fn new(_config: &Config) -> Result<Self, SetupError> {
        Ok(Self {
            groups: OnceLock::new(),
            answers: Mutex::default(),
            openapi: openapi::State::default(),
            metrics: metrics::Metrics::default(),
        })
    }

    /// Counts an answered request.
    pub fn count(&self, verb: &str, code: u16) {
        self.metrics.count(verb, code);
    }

    fn groups(&self, server: &Server) -> &[Group] {
        self.groups.get_or_init(|| resources::groups(&server.catalogue))
    }

    /// The answer kept under a name, made when it is not there yet.
    fn kept(&self, name: String, make: impl FnOnce() -> Cached) -> Arc<Cached> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(answers.entry(name).or_insert_with(|| Arc::new(make())))
    }
}

/// Answers requests whose path names no resource: `/`, `/api…`, `/apis…`, `/openapi/…`, `/version`, `/healthz…`,
/// `/livez…`, `/readyz…`, `/metrics`, `/.well-known/openid-configuration`, `/openid/v1/jwks`. `None` when the path
/// is none of these, which is answered with 404.
///
/// # Errors
/// A refusal.
pub async fn handle(server: &Arc<Server>, request: &Request) -> Result<Option<Response>, Status> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return Err(crate::route::method_not_allowed());
    }
    let state = &server.discovery;
    let path = request.attributes.path.trim_end_matches('/');
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    Ok(match segments.as_slice() {
        [] => Some(Response::json(StatusCode::OK, &json!({"paths": paths(state.groups(server))}))),
        ["healthz" | "livez" | "readyz", ..] => health::answer(server, path, &request.query),
        ["metrics"] => Some(Response::text(StatusCode::OK, state.metrics.text(server))),
        ["version"] => Some(Response::json(StatusCode::OK, &version(&server.config.version))),
        [".well-known", "openid-configuration"] => {
            let external = server.config.advertise.to_string();
            Some(Response::json(StatusCode::OK, &auth::openid_configuration(&server.auth, &external)))
        }
        ["openid", "v1", "jwks"] => {
            let body = auth::jwks(&server.auth).to_string();
            Some(Response::bytes(StatusCode::OK, "application/jwk-set+json", body))
        }
        ["api" | "apis"] => Some(root(server, request, segments[0])),
        ["api", version] => resources(server, request, "", version),
        ["apis", group] => {
            let found = state.groups(server).iter().find(|known| known.name == *group && !known.name.is_empty());
            found.map(|found| Response::json(StatusCode::OK, &legacy::group(found)))
        }
        ["apis", group, version] if !group.is_empty() => resources(server, request, group, version),
        ["openapi", "v2"] => openapi::v2(server, &request.headers)?,
        ["openapi", "v3"] => Some(openapi::v3_index(server, &request.headers)),
        ["openapi", "v3", ..] => {
            let name = path.trim_start_matches("/openapi/v3/");
            openapi::v3(server, name, &request.query, &request.headers)
        }
        _ => None,
    })
}

fn accepted(headers: &HeaderMap) -> String {
    let all: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    all.join(",")
}

/// `/api` and `/apis`, aggregated when the client asks for that first.
fn root(server: &Server, request: &Request, which: &str) -> Response {
    let state = &server.discovery;
    let groups = state.groups(server);
    let Some(content_type) = aggregated::wanted(&accepted(&request.headers)) else {
        return Response::json(
            StatusCode::OK,
            &match which {
                "api" => legacy::api_versions(groups, &server.config.advertise.to_string()),
                _ => legacy::group_list(groups),
            },
        );
    };
    let answer = state.kept(format!("{which} {content_type}"), || {
        let wanted = groups.iter().filter(|group| group.name.is_empty() == (which == "api"));
        Cached::json(content_type, &aggregated::list(wanted, content_type))
    });
    answer.answer(&request.headers, "Accept")
}

fn resources(server: &Server, request: &Request, group: &str, version: &str) -> Option<Response> {
    let state = &server.discovery;
    let mut versions = state.groups(server).iter().flat_map(|known| &known.versions);
    let found = versions.find(|known| known.group == group && known.version == version)?;
    let answer = state.kept(found.path(), || Cached::json("application/json", &legacy::resource_list(found)));
    Some(answer.answer(&request.headers, "Accept"))
}

/// `/version`. Kubernetes' version, so that clients can tell what to expect.
fn version(version: &str) -> Value {
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": minor,
        "gitVersion": format!("v{version}"),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": concat!("shipmate ", env!("CARGO_PKG_VERSION")),
        "platform": format!("{}/{arch}", std::env::consts::OS),
    })
}

/// `/`.
fn paths(groups: &[Group]) -> Vec<String> {
    let fixed = [
        "/.well-known/openid-configuration",
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/readyz",
        "/version",
    ];
    let mut paths: Vec<String> = fixed.map(str::to_owned).into();
    for group in groups {
        if !group.name.is_empty() {
            paths.push(format!("/apis/{}", group.name));
        }
        paths.extend(group.versions.iter().map(|version| format!("/{}", version.path())));
    }
    paths.sort();
    paths
}
