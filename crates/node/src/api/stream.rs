//! Kubernetes' streams over one WebSocket: numbered channels for input, output, errors, the result and the terminal's
//! size (KEP-4006: `v5.channel.k8s.io` is `v4.channel.k8s.io` with a way to end a channel).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Protocols that exec and attach speak, the best first.
pub(super) const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

pub(super) const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const RESULT: u8 = 3;
pub(super) const RESIZE: u8 = 4;
/// Version 5: the next byte names the channel that ends.
pub(super) const CLOSE: u8 = 255;

/// Bytes of one message, at most: kubectl sends 32 KiB.
const MESSAGE_BYTES: usize = 4 << 20;

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FromClient {
    Stdin(Bytes),
    StdinEnd,
    Resize { width: u16, height: u16 },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

/// The server's side of a WebSocket with channels.
pub(super) struct Channels(WebSocketStream<TokioIo<Upgraded>>);

impl Channels {
    pub(super) async fn new(upgraded: Upgraded) -> Self {
        let config =
            WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES)).max_frame_size(Some(MESSAGE_BYTES));
        Self(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await)
    }

    /// Parts for reading and writing at the same time.
    pub(super) fn split(self) -> (ToClient, ClientInput) {
        let (sink, stream) = self.0.split();
        (ToClient(Box::pin(sink)), ClientInput(Box::pin(stream)))
    }
}

/// Sends to a client.
pub(super) struct ToClient(Pin<Box<dyn Sink<Message, Error = Error> + Send>>);

impl ToClient {
    /// Sends bytes on a channel.
    pub(super) async fn send(&mut self, channel: u8, bytes: &[u8]) -> Result<(), Error> {
        let mut message = Vec::with_capacity(bytes.len() + 1);
        message.push(channel);
        message.extend_from_slice(bytes);
        self.0.send(Message::Binary(message.into())).await
    }

    /// Sends the result and says goodbye.
    pub(super) async fn finish(mut self, result: &Value) -> Result<(), Error> {
        self.send(RESULT, result.to_string().as_bytes()).await?;
        let goodbye = CloseFrame { code: 1000.into(), reason: "".into() };
        self.0.send(Message::Close(Some(goodbye))).await?;
        self.0.flush().await
    }
}

/// What comes from a client, as a stream that ends when the client is gone.
pub(super) struct ClientInput(Pin<Box<dyn Stream<Item = Result<Message, Error>> + Send>>);

impl Stream for ClientInput {
    type Item = FromClient;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<FromClient>> {
        loop {
            match std::task::ready!(self.0.poll_next_unpin(context)) {
                Some(Ok(Message::Binary(bytes))) => {
                    if let Some(input) = read(bytes) {
                        return Poll::Ready(Some(input));
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Poll::Ready(None),
                Some(Ok(_)) => {} // Pings are answered by the library; text is not used.
            }
        }
    }
}

fn read(mut message: Bytes) -> Option<FromClient> {
    if message.is_empty() {
        return None;
    }
    let channel = message.split_to(1)[0];
    match channel {
        STDIN => Some(FromClient::Stdin(message)),
        CLOSE if message.first() == Some(&STDIN) => Some(FromClient::StdinEnd),
        RESIZE => {
            let size: Size = serde_json::from_slice(&message).ok()?;
            Some(FromClient::Resize { width: size.width, height: size.height })
        }
        _ => None,
    }
}

/// The result of a command that exited with `code`.
pub(super) fn exited(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// The result when nothing could be run.
pub(super) fn failed(message: &str) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("Internal error occurred: {message}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let cases: &[(&[u8], Option<FromClient>)] = &[
            (b"\0hi", Some(FromClient::Stdin(Bytes::from_static(b"hi")))),
            (b"\xff\0", Some(FromClient::StdinEnd)),
            (b"\xff\x01", None),
            (b"\x04{\"Width\":80,\"Height\":24}", Some(FromClient::Resize { width: 80, height: 24 })),
            (b"\x04{", None),
            (b"", None),
            (b"\x09x", None),
        ];
        for (message, wanted) in cases {
            assert_eq!(read(Bytes::copy_from_slice(message)), *wanted, "{message:?}");
        }
    }
}
