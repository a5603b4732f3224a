//! An answer, before it is put on the wire.

use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use crate::request::BoxError;

/// The body of an answer.
pub enum Body {
    /// All of it.
    Full(Bytes),
    /// Piece by piece, for as long as it takes.
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>),
}

/// An answer. An upgraded connection is answered with 101 and an empty body; whoever asked for it took
/// `Request::upgrade` and runs it on `Server::tasks`.
pub struct Response {
    /// HTTP status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Body,
    /// Whether a streamed body ends by itself and may be compressed; watches and proxied streams may not.
    pub finite: bool,
}

impl Response {
    /// Bytes of a content type.
    pub fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: Body::Full(body.into()), finite: true }
    }

    /// JSON.
    pub fn json(status: StatusCode, value: &Value) -> Self {
        let body = serde_json::to_vec(value).expect("a JSON value always serialises");
        Self::bytes(status, "application/json", body)
    }

    /// Plain text.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", text)
    }

    /// A refusal.
    pub fn refusal(status: &api::Status) -> Self {
        let code = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Self::json(code, &status.to_json());
        if let Some(seconds) = status.retry_after {
            response.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
