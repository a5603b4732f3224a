//! One request to another server, and its answer on the way back.

use std::sync::Arc;

use api::{Reason, Status};
use futures::{StreamExt, TryStreamExt};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, BodyStream};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::dial::Target;
use super::tunnel;
use crate::auth::BEARER_PROTOCOL;
use crate::request::{BoxError, Incoming};
use crate::{Body, Request, Response, Server};

/// Headers that are about one connection (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("te"),
];

/// Sends `request` on to `path` (with query) at `target`.
///
/// # Errors
/// When the other end can't be reached or breaks off before it answers.
pub async fn send(server: &Arc<Server>, request: Request, target: &Target, path: &str) -> Result<Response, Status> {
    let wants_upgrade = upgrade_type(&request.headers).is_some();
    let client = request.upgrade.filter(|_| wants_upgrade);
    let mut outgoing = http::Request::builder().method(request.method.clone()).uri(path);
    if let Some(headers) = outgoing.headers_mut() {
        *headers = outgoing_headers(&request.headers, wants_upgrade);
        let host = HeaderValue::from_str(&target.authority()).map_err(Status::internal)?;
        headers.insert(HOST, host);
    }
    let outgoing = outgoing.body(request.body).map_err(|why| Status::bad_request(format!("proxied path: {why}")))?;
    let mut answer = exchange(server, target, outgoing).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client) = client else {
            return Err(Status::internal("the backend switched protocols unasked"));
        };
        let backend = hyper::upgrade::on(&mut answer);
        let (parts, _) = answer.into_parts();
        let stopping = server.stopping.clone();
        server.tasks.spawn(tunnel::run(client, backend, stopping));
        let mut response = Response::bytes(parts.status, "", "");
        response.headers = parts.headers;
        return Ok(response);
    }
    let (parts, body) = answer.into_parts();
    let mut headers = parts.headers;
    strip(&mut headers);
    Ok(Response { status: parts.status, headers, body: stream(body), finite: false })
}

/// Makes a connection, sends one request, and waits for the head of the answer.
///
/// # Errors
/// When the other end can't be reached or breaks off before it answers.
pub async fn exchange(
    server: &Arc<Server>,
    target: &Target,
    request: http::Request<Incoming>,
) -> Result<http::Response<hyper::body::Incoming>, Status> {
    let connection = server.proxy.dialer.connect(target).await?;
    let broken = |why: hyper::Error| {
        Status::new(Reason::InternalError, format!("error sending request to {}: {why}", target.authority()))
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(broken)?;
    let stopping = server.stopping.clone();
    // Ends when the answer was read or dropped, or the connection was handed over to a tunnel.
    server.tasks.spawn(async move {
        tokio::select! {
            ended = connection.with_upgrades() => {
                if let Err(why) = ended {
                    tracing::debug!(%why, "proxied connection ended");
                }
            }
            () = stopping.cancelled() => {}
        }
    });
    sender.send_request(request).await.map_err(broken)
}

/// A body as it arrives.
pub fn stream(body: hyper::body::Incoming) -> Body {
    let frames = TryStreamExt::map_err(BodyStream::new(body), BoxError::from);
    Body::Stream(Box::pin(frames.filter_map(|frame| {
        std::future::ready(match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(why) => Some(Err(why)),
        })
    })))
}

/// No body.
pub fn empty() -> Incoming {
    http_body_util::Empty::new().map_err(|never: std::convert::Infallible| match never {}).boxed()
}

/// What a client wants to upgrade to.
pub fn upgrade_type(headers: &HeaderMap) -> Option<&str> {
    let connection = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asked = connection.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| asked)?.to_str().ok()
}

/// The client's headers without its credentials and without what is about its own connection.
fn outgoing_headers(headers: &HeaderMap, upgrade: bool) -> HeaderMap {
    let mut out = headers.clone();
    strip(&mut out);
    out.remove(AUTHORIZATION);
    out.remove(http::header::COOKIE);
    let credentials: Vec<HeaderName> =
        out.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    credentials.into_iter().for_each(|name| drop(out.remove(name)));
    let protocols: Vec<String> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.trim().to_owned())
        .filter(|one| !one.is_empty() && !one.starts_with(BEARER_PROTOCOL))
        .collect();
    out.remove(SEC_WEBSOCKET_PROTOCOL);
    if let (false, Ok(value)) = (protocols.is_empty(), HeaderValue::from_str(&protocols.join(", "))) {
        out.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    if upgrade {
        out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(to) = headers.get(UPGRADE) {
            out.insert(UPGRADE, to.clone());
        }
    } else if let Some(length) = headers.get(CONTENT_LENGTH) {
        out.insert(CONTENT_LENGTH, length.clone());
    }
    out
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.trim().to_ascii_lowercase())
        .collect();
    named.iter().for_each(|name| drop(headers.remove(name.as_str())));
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod cases {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        pairs.iter().map(parse).collect()
    }

    #[test]
    fn credentials_and_connection_headers_stay_here() {
        let given = headers(&[
            ("authorization", "Bearer secret"),
            ("impersonate-user", "jane"),
            ("cookie", "a=b"),
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("accept", "text/html"),
        ]);
        let sent = outgoing_headers(&given, false);
        assert_eq!(sent.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn upgrades_are_asked_for_again() {
        let bearer = format!("v5.channel.k8s.io, {BEARER_PROTOCOL}c2VjcmV0");
        let given = headers(&[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-protocol", &bearer),
        ]);
        assert_eq!(upgrade_type(&given), Some("websocket"));
        let sent = outgoing_headers(&given, true);
        assert_eq!(
            (&sent[CONNECTION], &sent[UPGRADE]),
            (&HeaderValue::from_static("Upgrade"), &HeaderValue::from_static("websocket"))
        );
        assert_eq!(sent[SEC_WEBSOCKET_PROTOCOL], "v5.channel.k8s.io");
        assert!(sent.contains_key("sec-websocket-key"));
        assert_eq!(upgrade_type(&headers(&[("upgrade", "websocket")])), None);
    }
}
