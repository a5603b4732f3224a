//! Is the server alive, ready, healthy: `/livez`, `/readyz`, `/healthz`, each also check by check.

use api::View;
use http::StatusCode;

use crate::request::Query;
use crate::{Response, Server};

/// One thing to check.
struct Check {
    name: &'static str,
    /// Endpoints that include it.
    on: &'static [&'static str],
    holds: fn(&Server, &View) -> bool,
}

const ALL: &[&str] = &["livez", "readyz", "healthz"];

const CHECKS: &[Check] = &[
    Check { name: "ping", on: ALL, holds: |_, _| true },
    Check { name: "log", on: ALL, holds: |_, _| true },
    // A view can be had: the store was read and its writer is there.
    Check { name: "etcd", on: ALL, holds: |_, view| view.revision() > 0 },
    Check { name: "poststarthook/rbac/bootstrap-roles", on: &["readyz", "healthz"], holds: |_, view| has_roles(view) },
    Check { name: "shutdown", on: &["readyz"], holds: |server, _| !server.stopping.is_cancelled() },
];

fn has_roles(view: &View) -> bool {
    let kind = view.catalogue().by_kind("rbac.authorization.k8s.io", "ClusterRole");
    kind.is_none_or(|kind| view.n_objects(kind.id) > 0)
}

/// Answers `/livez`, `/readyz` and `/healthz`, and each of their checks below it; `None` for a check that there is
/// not.
pub fn answer(server: &Server, path: &str, query: &Query) -> Option<Response> {
    let (endpoint, below) = path.trim_matches('/').split_once('/').unwrap_or((path.trim_matches('/'), ""));
    let view = server.store.view();
    let checks = CHECKS.iter().filter(|check| check.on.contains(&endpoint));
    if !below.is_empty() {
        let check = checks.into_iter().find(|check| check.name == below)?;
        return Some(if (check.holds)(server, &view) {
            Response::text(StatusCode::OK, "ok")
        } else {
            Response::text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error: reason withheld\n")
        });
    }
    let mut lines = String::new();
    let mut failed = false;
    for check in checks {
        let line = if query.all("exclude").any(|name| name == check.name) {
            format!("[+]{} excluded: ok\n", check.name)
        } else if (check.holds)(server, &view) {
            format!("[+]{} ok\n", check.name)
        } else {
            failed = true;
            format!("[-]{} failed: reason withheld\n", check.name)
        };
        lines.push_str(&line);
    }
    let outcome = if failed { "failed" } else { "passed" };
    Some(match (failed, query.get("verbose").is_some()) {
        (false, false) => Response::text(StatusCode::OK, "ok"),
        (false, true) => Response::text(StatusCode::OK, format!("{lines}{endpoint} check {outcome}\n")),
        (true, _) => Response::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{endpoint} check {outcome}\n")),
    })
}
