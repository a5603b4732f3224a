//! `pods/log`: a container's output, read by its kubelet.

use std::sync::Arc;

use api::{FieldErrors, Path, Reason, Status};
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::dial::Target;
use super::{container, forward};
use crate::request::Query;
use crate::{Request, Response, Server};

/// Most bytes of a kubelet's complaint that are passed on.
const COMPLAINT: usize = 2_048;

/// Parameters that the kubelet understands by the same name.
const PASSED_ON: [&str; 8] =
    ["follow", "limitBytes", "previous", "sinceSeconds", "sinceTime", "stream", "tailLines", "timestamps"];

/// Answers a read of `pods/NAME/log`.
///
/// # Errors
/// A refusal, or the kubelet's complaint.
pub async fn handle(server: &Arc<Server>, request: Request) -> Result<Response, Status> {
    let attributes = &request.attributes;
    let (namespace, name) = (attributes.namespace.as_str(), attributes.name.as_str());
    let view = server.store.view();
    let pod = container::pod(&view, namespace, name)?;
    check(name, &request.query)?;
    let container = container::choose(pod, name, request.query.text("container"))?;
    let Some(node) = container::node(pod) else {
        return Ok(Response::text(StatusCode::OK, "")); // What runs nowhere has said nothing.
    };
    let target = Target::kubelet(&view, node)?;
    let path = path(namespace, name, container, &request.query);
    let asked = http::Request::get(path)
        .header(http::header::HOST, target.authority())
        .body(forward::empty())
        .map_err(Status::internal)?;
    let answer = forward::exchange(server, &target, asked).await?;
    if !answer.status().is_success() {
        return Err(complaint(name, answer).await);
    }
    let mut response = Response::bytes(StatusCode::OK, "text/plain", "");
    response.body = forward::stream(answer.into_body());
    response.finite = false;
    Ok(response)
}

fn path(namespace: &str, pod: &str, container: &str, query: &Query) -> String {
    let mut path = format!("/containerLogs/{namespace}/{pod}/{container}");
    let mut separator = '?';
    for name in PASSED_ON {
        if let Some(value) = query.text(name) {
            path.push(separator);
            path.push_str(&format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            separator = '&';
        }
    }
    path
}

/// Validates what the API server validates of PodLogOptions.
fn check(name: &str, query: &Query) -> Result<(), Status> {
    let mut errors = FieldErrors::default();
    let mut number = |field: &str, least: i64, rule: &str| {
        let Some(text) = query.text(field) else { return Ok(()) };
        let value: i64 = text
            .parse()
            .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?;
        if value < least {
            errors.invalid(&Path::new(field), value, rule);
        }
        Ok::<(), Status>(())
    };
    number("tailLines", 0, "must be greater than or equal to 0")?;
    number("limitBytes", 1, "must be greater than 0")?;
    number("sinceSeconds", 1, "must be greater than 0")?;
    if let Some(time) = query.text("sinceTime") {
        time.parse::<Timestamp>().map_err(|why| Status::bad_request(format!("sinceTime {time:?}: {why}")))?;
        if query.text("sinceSeconds").is_some() {
            errors
                .forbidden(&Path::new("sinceSeconds"), "at most one of `sinceTime` or `sinceSeconds` may be specified");
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid("", "PodLogOptions", name, &errors)) }
}

/// A kubelet's refusal as a `Status`.
async fn complaint(name: &str, answer: http::Response<hyper::body::Incoming>) -> Status {
    let code = answer.status();
    let body =
        Limited::new(answer.into_body(), COMPLAINT).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    match code {
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        StatusCode::NOT_FOUND => {
            let message = format!("the server could not find the requested resource ( pods/log {name}): {text}");
            Status::new(Reason::NotFound, message).about("", "pods/log", name)
        }
        StatusCode::INTERNAL_SERVER_ERROR => Status::internal(text),
        _ => Status::new(Reason::InternalError, format!("the kubelet answered {code}: {text}")),
    }
}
