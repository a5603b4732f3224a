//! From bytes on a connection to a [`Request`] and back: limits, authentication, routing, encoding.
//!
//! Invariant: whatever arrives is answered. A request that panics is answered with 500, one that takes too long with
//! 504, and none of them can take more memory than the body limit.

mod compress;
pub(crate) mod json;
mod listen;
pub(crate) mod media;
pub(crate) mod protobuf;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use api::{Reason, Status};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Frame};
use hyper::upgrade::OnUpgrade;

use crate::auth::{self, Peer};
use crate::request::{BoxError, Incoming, Query};
use crate::{Attributes, Body, Request, Response, Server, route};

pub use listen::Tls;

/// Most bytes of a request's body, as etcd and the API server have it.
pub const MAX_BODY: usize = 3 * 1024 * 1024;

/// How long a request may take that is neither a watch nor a proxied stream.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The body of an answer on the wire.
pub type Outgoing = UnsyncBoxBody<Bytes, BoxError>;

impl Server {
    /// Answers one request.
    pub async fn handle(self: &Arc<Self>, request: http::Request<Incoming>, peer: &Peer) -> http::Response<Outgoing> {
        let (mut parts, body) = request.into_parts();
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let attributes = Attributes::parse(&parts.method, parts.uri.path(), &query);
        let accept = media::Accept::of(&parts.headers);
        let long = is_long(&attributes);
        let verb = attributes.verb.clone();
        let seen = (parts.method.clone(), parts.uri.clone());
        let work = async {
            let _place = if long { None } else { Some(self.place()?) };
            let user = auth::authenticate(self, &parts, peer).await?;
            let http::request::Parts { method, uri, headers, .. } = parts;
            let request = Request { attributes, user, method, uri, query, headers, body, upgrade };
            if long {
                return route::route(self, request).await;
            }
            tokio::time::timeout(REQUEST_TIMEOUT, route::route(self, request)).await.unwrap_or_else(|_| {
                Err(Status::new(Reason::Timeout, "request did not complete within the allowed timeout"))
            })
        };
        let answered = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(method = %seen.0, path = seen.1.path(), "a request panicked");
            Err(Status::internal("this request panicked; see the server's log"))
        });
        let mut response = answered.unwrap_or_else(|status| Response::refusal(&status));
        if seen.0 == http::Method::HEAD {
            response.body = Body::Full(Bytes::new()); // HTTP/2 clients take a body here for a broken stream.
        }
        self.discovery.count(&verb, response.status.as_u16());
        tracing::debug!(method = %seen.0, uri = %seen.1, status = response.status.as_u16(), "answered");
        finish(response, &accept).await
    }

    /// A place among the requests in work.
    fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Status> {
        self.in_flight.try_acquire().map_err(|_| {
            let mut status = Status::new(Reason::TooManyRequests, "Too many requests, please try again later.");
            status.retry_after = Some(1);
            status
        })
    }
}

/// Watches and proxied streams last as long as the client likes, so neither time nor number bounds them here.
fn is_long(attributes: &Attributes) -> bool {
    attributes.verb == "watch"
        || matches!(attributes.subresource.as_str(), "log" | "exec" | "attach" | "portforward" | "proxy")
}

/// Brings an answer into the form that the client accepts.
async fn finish(response: Response, accept: &media::Accept) -> http::Response<Outgoing> {
    let response = match accept.encoding {
        media::Encoding::Yaml => yaml(response).await,
        media::Encoding::Json | media::Encoding::Protobuf => response,
    };
    let response = if accept.gzip { compress::gzip(response) } else { response };
    let body = match response.body {
        Body::Full(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
        Body::Stream(stream) => StreamBody::new(stream.map(|piece| piece.map(Frame::data))).boxed_unsync(),
    };
    let mut out = http::Response::new(body);
    *out.status_mut() = response.status;
    *out.headers_mut() = response.headers;
    out
}

/// A JSON answer as YAML; anything else as it is.
async fn yaml(mut response: Response) -> Response {
    let is_json = response.headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_json {
        return response;
    }
    let json = match response.body {
        Body::Full(bytes) => bytes,
        Body::Stream(mut stream) => {
            let mut all = Vec::new();
            while let Some(Ok(piece)) = stream.next().await {
                all.extend_from_slice(&piece);
            }
            all.into()
        }
    };
    response.body =
        match serde_json::from_slice::<serde_json::Value>(&json).map(|value| serde_saphyr::to_string(&value)) {
            Ok(Ok(text)) => {
                let kind = http::HeaderValue::from_static("application/yaml");
                response.headers.insert(http::header::CONTENT_TYPE, kind);
                Body::Full(text.into())
            }
            _ => Body::Full(json),
        };
    response
}

/// Reads a request's body, up to [`MAX_BODY`].
///
/// # Errors
/// 413 when it is larger, 400 when the client breaks off.
pub(crate) async fn read_body(mut body: Incoming) -> Result<Bytes, Status> {
    let too_large = || {
        let message = format!("Request entity too large: limit is {MAX_BODY}");
        Err(Status::new(Reason::RequestEntityTooLarge, message))
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_BODY {
        return too_large();
    }
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::bad_request(format!("read the request's body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > MAX_BODY {
            return too_large();
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}
