//! One HTTP request over one connection, with each step's failure told apart.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::tls::{Handshake, Trust};
use crate::access::{Access, AccessError, NotThrough, Wire};

/// How long a registry may take for the head of its answer.
const HEAD: Duration = Duration::from_secs(60);
/// How long nothing may come of a body.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// Words for a server that ends TLS itself.
const ALERT: &str = "the server ends the TLS connection";

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The connection.
    Dial,
    /// TLS.
    Tls,
    /// The request and the head of its answer.
    Head,
    /// The body.
    Body,
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// At which step.
    pub step: Step,
    /// In words.
    pub why: String,
    /// What TLS showed, if it came so far.
    pub handshake: Option<Handshake>,
    /// It was not even tried: the way onto the node has no means for it.
    pub unsupported: bool,
    /// The other side answered TLS by something else.
    pub plain: bool,
}

impl Failure {
    pub(super) fn new(step: Step, why: impl Into<String>) -> Self {
        Self { step, why: why.into(), handshake: None, unsupported: false, plain: false }
    }

    /// A body that ended too early.
    pub fn broken(why: impl Into<String>) -> Self {
        Self::new(Step::Body, why)
    }
}

impl From<&NotThrough> for Failure {
    fn from(not: &NotThrough) -> Self {
        Self { unsupported: not.forbidden, ..Self::new(Step::Dial, not.to_string()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// The part of URLs that registries use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it begins with https.
    pub secure: bool,
    /// Host without a port and without brackets.
    pub host: String,
    /// The port, given or by the scheme.
    pub port: u16,
    /// Whether the port is written down.
    pub explicit_port: bool,
    /// Path and query, with a slash in front.
    pub path: String,
}

impl Url {
    /// Reads `http://…` or `https://…`.
    ///
    /// # Errors
    /// When it is neither, or has no host.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no http or https URL");
        let (secure, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(bad()),
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let authority: http::uri::Authority = authority.parse().map_err(|_| bad())?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad());
        }
        let explicit = authority.port_u16();
        let tail = authority.as_str().rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'));
        if explicit.is_none() && tail.is_some_and(|port| !port.is_empty()) {
            return Err(bad());
        }
        let port = explicit.unwrap_or(if secure { 443 } else { 80 });
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { secure, host, port, explicit_port: explicit.is_some(), path })
    }

    /// The URL below this one.
    #[must_use]
    pub fn join(&self, rest: &str) -> Self {
        Self { path: format!("{}/{rest}", self.path.trim_end_matches('/')), ..self.clone() }
    }

    /// Where a `Location` header leads from here.
    #[must_use]
    pub fn follow(&self, location: &str) -> Option<Self> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(Self { path: location.to_owned(), ..self.clone() });
        }
        Self::parse(location).ok()
    }

    /// Host and port as the `Host` header has them.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.explicit_port { format!("{host}:{}", self.port) } else { host }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// An answer whose body is still to be read.
pub struct Answer {
    response: Response<Incoming>,
    /// What TLS showed.
    pub handshake: Option<Handshake>,
    /// The connection; it ends with the answer.
    _connection: AbortOnDropHandle<Result<(), hyper::Error>>,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header, if it is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// All headers of a name that are text.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.response.headers().get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }

    pub(super) fn body_mut(&mut self) -> &mut Incoming {
        self.response.body_mut()
    }

    /// The whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// When it is longer, breaks off, or stalls.
    pub async fn bytes(self, limit: usize) -> Result<Bytes, Failure> {
        let Self { response, handshake: _, _connection } = self;
        let body = http_body_util::Limited::new(response.into_body(), limit);
        let whole = tokio::time::timeout(HEAD, body.collect()).await;
        let whole = whole.map_err(|_| Failure::new(Step::Body, format!("not complete after {} s", HEAD.as_secs())))?;
        whole.map(http_body_util::Collected::to_bytes).map_err(|error| Failure::new(Step::Body, root_cause(&*error)))
    }
}

/// Asks, over a connection of its own.
///
/// # Errors
/// At the step that failed.
pub async fn ask(
    access: &dyn Access,
    method: &Method,
    url: &Url,
    headers: &[(HeaderName, String)],
    trust: &Trust,
) -> Result<Answer, Failure> {
    match once(access, method, url, headers, trust).await {
        // The way knows now that it may not forward, and has perhaps another means.
        Err(failure) if failure.step == Step::Dial && failure.unsupported => {
            once(access, method, url, headers, trust).await
        }
        asked => asked,
    }
}

async fn once(
    access: &dyn Access,
    method: &Method,
    url: &Url,
    headers: &[(HeaderName, String)],
    trust: &Trust,
) -> Result<Answer, Failure> {
    let wire = access.dial(&url.host, url.port).await.map_err(|error| Failure {
        unsupported: matches!(error, AccessError::Unsupported { .. }),
        ..Failure::new(Step::Dial, error.to_string())
    })?;
    if !url.secure {
        return exchange(wire, method, url, headers, None).await;
    }
    let (wire, handshake) = trust.connect(wire, &url.host).await?;
    exchange(Box::new(wire), method, url, headers, Some(handshake)).await
}

async fn exchange(
    wire: Box<dyn Wire>,
    method: &Method,
    url: &Url,
    headers: &[(HeaderName, String)],
    handshake: Option<Handshake>,
) -> Result<Answer, Failure> {
    let mut request = Request::builder().method(method).uri(&url.path);
    request = request.header(header::HOST, url.authority());
    request = request.header(header::USER_AGENT, concat!("shipmate/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| Failure::new(Step::Head, format!("the header {name} can't have this value")))?;
        value.set_sensitive(*name == header::AUTHORIZATION);
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| Failure::new(Step::Head, error.to_string()))?;
    let asked = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(wire)).await?;
        // Owned by the answer: it is aborted with it.
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        match sender.send_request(request).await {
            Ok(response) => Ok((response, connection)),
            // It ended before it took the request, and knows why.
            Err(error) if error.is_canceled() => Err(connection.await.ok().and_then(Result::err).unwrap_or(error)),
            Err(error) => Err(error),
        }
    };
    let answered = tokio::time::timeout(HEAD, asked).await;
    let answered = answered.map_err(|_| Failure::new(Step::Head, format!("no answer within {} s", HEAD.as_secs())))?;
    let (response, connection) = answered.map_err(|error| match NotThrough::of(&error) {
        Some(not_through) => not_through.into(),
        None => {
            let why = head_problem(&error, url.secure);
            // In TLS 1.3 the server looks at the client's certificate after the handshake.
            let step = if why.contains(ALERT) { Step::Tls } else { Step::Head };
            Failure { handshake: handshake.clone(), ..Failure::new(step, why) }
        }
    })?;
    Ok(Answer { response, handshake, _connection: connection })
}

fn head_problem(error: &hyper::Error, secure: bool) -> String {
    if error.is_parse() && !secure {
        return "it does not answer by HTTP: is it an https registry?".to_owned();
    }
    if error.is_incomplete_message() {
        return "the connection was closed before an answer".to_owned();
    }
    let cause = root_cause(error);
    match cause.strip_prefix("received fatal alert: ") {
        Some(alert) => format!("{ALERT} ({alert}); it may want a certificate of the client"),
        None => cause,
    }
}

/// The last cause's words: those above say only what was being done.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        for text in ["http://h:5000/v2/", "https://h/v2/a/b", "https://[::1]:1/x?y=z", "http://10.0.0.1:80/"] {
            assert_eq!(Url::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Url::parse("https://h").unwrap().to_string(), "https://h/");
        for text in ["h:5000", "ftp://h/", "https://", "http:///v2/", "https://h:999999/"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn locations_lead_elsewhere() {
        let url = Url::parse("https://h:1/v2/x").unwrap();
        assert_eq!(url.follow("/y?z").unwrap().to_string(), "https://h:1/y?z");
        assert_eq!(url.follow("http://o/y").unwrap().to_string(), "http://o/y");
        assert!(url.follow("y").is_none());
    }
}
