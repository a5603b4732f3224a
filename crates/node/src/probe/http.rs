//! HTTP requests of probes and hooks: certificates are not checked, redirects stay on the host.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Uri;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::probe::ask::{SHOWN_BYTES, dial_error};
use crate::probe::tls;

/// More redirects are an error.
const REDIRECTS: usize = 10;

/// A GET request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// With the query.
    pub path: String,
    pub headers: Vec<(String, String)>,
}

/// What came back.
pub(crate) struct Answer {
    pub status: u16,
}

impl Request {
    fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", self.host, self.port, self.path)
    }

    /// Where a redirect leads, if it stays on the same host.
    fn redirected(&self, location: &str) -> Option<Self> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(Self { path: location.to_owned(), ..self.clone() });
        }
        let uri: Uri = location.parse().ok()?;
        let tls = uri.scheme_str() == Some("https");
        let host = uri.host().filter(|host| *host == self.host)?;
        Some(Self {
            tls,
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            headers: self.headers.clone(),
        })
    }
}

/// Sends the request and follows redirects, all within `limit`.
pub(crate) async fn get(request: &Request, limit: Duration) -> Result<Answer, String> {
    let url = request.url();
    match timeout(limit, follow(request)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(problem)) => Err(format!("Get \"{url}\": {problem}")),
        Err(_) => {
            Err(format!("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"))
        }
    }
}

async fn follow(request: &Request) -> Result<Answer, String> {
    let mut request = request.clone();
    for _ in 0..REDIRECTS {
        let (status, location) = once(&request).await?;
        let next = location.filter(|_| (300..400).contains(&status));
        match next.and_then(|location| request.redirected(&location)) {
            Some(next) => request = next,
            None => return Ok(Answer { status }),
        }
    }
    Err(format!("stopped after {REDIRECTS} redirects"))
}

async fn once(request: &Request) -> Result<(u16, Option<String>), String> {
    let stream = TcpStream::connect((request.host.as_str(), request.port))
        .await
        .map_err(|err| dial_error(&request.host, request.port, &err))?;
    if request.tls {
        let stream = tls::connect(&request.host, stream).await?;
        send(request, stream).await
    } else {
        send(request, stream).await
    }
}

async fn send<S>(request: &Request, stream: S) -> Result<(u16, Option<String>), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|err| err.to_string())?;
    let exchange = async {
        let mut builder = hyper::Request::get(&request.path);
        if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Host")) {
            builder = builder.header("Host", format!("{}:{}", request.host, request.port));
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let message = builder.body(Empty::<bytes::Bytes>::new()).map_err(|err| err.to_string())?;
        let answer = sender.send_request(message).await.map_err(|err| err.to_string())?;
        let status = answer.status().as_u16();
        let location = answer.headers().get("Location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Read politely, but no more than would be shown.
        let _ = Limited::new(answer.into_body(), SHOWN_BYTES).collect().await;
        Ok((status, location))
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            // The connection may end together with the answer.
            Ok(()) => exchange.await,
            Err(err) => Err(err.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_the_host() {
        let request = Request { tls: false, host: "10.0.0.1".into(), port: 80, path: "/".into(), headers: Vec::new() };
        let to = |location| request.redirected(location).map(|next| next.url());
        assert_eq!(to("/x?y").as_deref(), Some("http://10.0.0.1:80/x?y"));
        assert_eq!(to("https://10.0.0.1/x").as_deref(), Some("https://10.0.0.1:443/x"));
        assert_eq!(to("http://other/x"), None);
    }
}
