//! `kubectl attach` and `kubectl run -i`: the streams of a container's first process.
//!
//! containerd's CRI plugin owns those streams and hands them out over its own WebSocket (version 4 of the channels),
//! so this carries messages between two WebSockets. Version 4 cannot end the input; that is asked of containerd's
//! tasks instead.
//!
//! A container does not wait for the client that it is made for (`kubectl run -i`): what it wrote before that one is
//! attached is sent from its log. A line that is written in the very moment of attaching may come twice.

use std::path::PathBuf;

use cri::Runtime;
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::exec::Wanted;
use super::logs;
use super::stream::{Channels, FromClient, RESIZE, RESULT, STDERR, STDIN, STDOUT, exited, failed};

/// Carries streams until the container or the client ends.
///
/// `missed` is the log of a container that was made for this client.
pub(super) async fn run(
    runtime: Runtime,
    container: String,
    wanted: Wanted,
    missed: Option<PathBuf>,
    upgraded: Upgraded,
) {
    let channels = Channels::new(upgraded).await;
    let result = match connect(&runtime, &container, &wanted).await {
        Ok(streams) => {
            let written = missed.and_then(|log| logs::beginning(&log).ok()).unwrap_or_default();
            carry(&runtime, &container, streams, channels, written).await
        }
        Err(message) => channels.split().0.finish(&failed(&message)).await,
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an attached client went away");
    }
}

async fn connect(runtime: &Runtime, container: &str, wanted: &Wanted) -> Result<WebSocketStream<TcpStream>, String> {
    let request = cri::v1::AttachRequest {
        container_id: container.to_owned(),
        stdin: wanted.stdin,
        tty: wanted.tty,
        stdout: wanted.stdout,
        stderr: wanted.stderr && !wanted.tty,
    };
    let url = runtime
        .attach_url(request)
        .await
        .map_err(|error| format!("error attaching to container: {}", error.event_text()))?;
    let shown = |error: &dyn std::fmt::Display| format!("attach to the container through containerd: {error}");
    let mut request = url.replacen("http://", "ws://", 1).into_client_request().map_err(|error| shown(&error))?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("v4.channel.k8s.io"));
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let stream = TcpStream::connect(&authority).await.map_err(|error| shown(&error))?;
    stream.set_nodelay(true).map_err(|error| shown(&error))?;
    let (streams, _) = tokio_tungstenite::client_async(request, stream).await.map_err(|error| shown(&error))?;
    Ok(streams)
}

async fn carry(
    runtime: &Runtime,
    container: &str,
    streams: WebSocketStream<TcpStream>,
    channels: Channels,
    written: Vec<(bool, Vec<u8>)>,
) -> Result<(), Error> {
    let (mut client, mut input) = channels.split();
    let (mut to_container, mut from_container) = streams.split();
    let feed = async {
        while let Some(message) = input.next().await {
            let bytes = match message {
                FromClient::Stdin(bytes) => [&[STDIN], bytes.as_ref()].concat(),
                FromClient::Resize { width, height } => {
                    [&[RESIZE], format!("{{\"Width\":{width},\"Height\":{height}}}").as_bytes()].concat()
                }
                FromClient::StdinEnd => {
                    // It has ended already, then.
                    drop(runtime.close_container_stdin(container).await);
                    continue;
                }
            };
            if to_container.send(Message::Binary(bytes.into())).await.is_err() {
                std::future::pending::<()>().await; // The container ended; its output and result still come.
            }
        }
    };
    let output = async {
        for (is_error, text) in &written {
            client.send(if *is_error { STDERR } else { STDOUT }, text).await?;
        }
        while let Some(message) = from_container.next().await {
            match message {
                Ok(Message::Binary(bytes)) => match bytes.split_first() {
                    Some((channel @ (&STDOUT | &STDERR), text)) if !text.is_empty() => {
                        client.send(*channel, text).await?
                    }
                    Some((&RESULT, text)) => {
                        let result = serde_json::from_slice(text).unwrap_or_else(|_| exited(0));
                        return client.finish(&result).await;
                    }
                    _ => {}
                },
                Ok(Message::Close(_)) | Err(_) => break,
                Ok(_) => {}
            }
        }
        client.finish(&exited(0)).await
    };
    tokio::select! {
        result = output => result,
        () = feed => Ok(()),
    }
}
