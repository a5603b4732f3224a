//! `kubectl port-forward`: a tunnel from the client to containerd's port-forward endpoint.
//!
//! The client speaks SPDY inside WebSocket messages (KEP-4006, `SPDY/3.1+portforward.k8s.io`); containerd speaks SPDY
//! on an upgraded connection. The bytes are the same, so they are carried and never read.

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http_body_util::Empty;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The WebSocket protocol of the tunnel.
pub(super) const PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
/// Bytes carried at once.
const CHUNK: usize = 64 << 10;

/// containerd's side of a tunnel, ready to carry.
pub(super) struct Backend {
    stream: TokioIo<Upgraded>,
}

/// Connects to the endpoint that containerd has opened at `url`.
pub(super) async fn connect(url: &str) -> Result<Backend, String> {
    let shown = |error: &dyn std::fmt::Display| format!("forward ports through containerd: {error}");
    let uri: http::Uri = url.parse().map_err(|error| shown(&error))?;
    let authority = uri.authority().map(ToString::to_string).ok_or_else(|| shown(&"its URL names no host"))?;
    let stream = TcpStream::connect(&authority).await.map_err(|error| shown(&error))?;
    stream.set_nodelay(true).map_err(|error| shown(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| shown(&error))?;
    let request = http::Request::post(uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
        .header("Host", &authority)
        .header("Connection", "Upgrade")
        .header("Upgrade", "SPDY/3.1")
        .header("X-Stream-Protocol-Version", "portforward.k8s.io")
        .body(Empty::<Bytes>::new())
        .map_err(|error| shown(&error))?;
    // The connection lives as long as the upgraded stream and ends with it.
    let driver = tokio::spawn(connection.with_upgrades());
    let response = sender.send_request(request).await.map_err(|error| shown(&error))?;
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        driver.abort();
        return Err(shown(&format!("it answered {}", response.status())));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| shown(&error))?;
    Ok(Backend { stream: TokioIo::new(upgraded) })
}

/// Carries bytes until either side ends.
pub(super) async fn run(backend: Backend, upgraded: Upgraded) {
    let client = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let (mut to_client, mut from_client) = client.split();
    let (mut from_backend, mut to_backend) = tokio::io::split(backend.stream);
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            let sent = match message {
                Message::Binary(bytes) => {
                    to_backend.write_all(&bytes).await.is_ok() && to_backend.flush().await.is_ok()
                }
                Message::Close(_) => false,
                _ => true,
            };
            if !sent {
                return;
            }
        }
    };
    let down = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from_backend.read(&mut buffer).await {
            if to_client.send(Message::Binary(Bytes::copy_from_slice(&buffer[..length]))).await.is_err() {
                return;
            }
        }
        drop(to_client.send(Message::Close(None)).await); // Either side may be gone first.
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
