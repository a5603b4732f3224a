//! `kubectl exec`: a process in a running container, with its streams on a WebSocket.

use cri::Runtime;
use cri::exec::{Exec, ExecOptions, TerminalSize};
use futures::StreamExt as _;
use hyper::upgrade::Upgraded;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::stream::{Channels, ClientInput, FromClient, STDERR, STDOUT, ToClient, exited, failed};

/// Bytes of output sent in one message.
const CHUNK: usize = 32 << 10;
/// Messages of output that may wait for the client.
const WAITING: usize = 8;

/// What is to be run, and which of its streams the client wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) command: Vec<String>,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

/// Runs the command until it or the client ends.
pub(super) async fn run(runtime: Runtime, container: String, wanted: Wanted, upgraded: Upgraded) {
    let (client, input) = Channels::new(upgraded).await.split();
    let options = ExecOptions {
        command: wanted.command.clone(),
        stdin: wanted.stdin,
        terminal: wanted.tty.then(TerminalSize::default),
    };
    let result = match runtime.exec(&container, options).await {
        Ok(exec) => carry(exec, &wanted, client, input).await,
        Err(error) => {
            let message = format!("error executing command in container: {}", error.event_text());
            client.finish(&failed(&message)).await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "the client of an exec went away");
    }
}

async fn carry(
    exec: Exec,
    wanted: &Wanted,
    mut client: ToClient,
    mut input: ClientInput,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let Exec { process, mut stdin, stdout, stderr } = exec;
    let (output, mut waiting) = mpsc::channel(WAITING);
    let forward_stdout = forward(stdout, STDOUT, wanted.stdout, output.clone());
    let errors = output;
    let forward_stderr = async {
        // Owned here, so that the channel ends when both streams have.
        let errors = errors;
        if let Some(stderr) = stderr {
            forward(stderr, STDERR, wanted.stderr, errors).await;
        }
    };
    let control = process.clone();
    let feed = async {
        while let Some(message) = input.next().await {
            match message {
                FromClient::Stdin(bytes) => {
                    // A process that has closed its input loses it, as on any pipe.
                    if let Some(pipe) = &mut stdin
                        && pipe.write_all(&bytes).await.is_err()
                    {
                        stdin = None;
                    }
                }
                FromClient::StdinEnd => {
                    stdin = None;
                    drop(control.close_stdin().await); // It has ended already, then.
                }
                FromClient::Resize { width, height } => {
                    drop(control.resize(TerminalSize { width, height }).await); // As above.
                }
            }
        }
    };
    let ended = async {
        let (code, (), ()) = tokio::join!(process.wait(), forward_stdout, forward_stderr);
        code
    };
    let sent = async {
        while let Some((channel, bytes)) = waiting.recv().await {
            let bytes: Vec<u8> = bytes;
            client.send(channel, &bytes).await?;
        }
        Ok::<ToClient, tokio_tungstenite::tungstenite::Error>(client)
    };
    let work = async { tokio::join!(ended, sent) };
    let (code, client) = tokio::select! {
        done = work => done,
        // The client is gone. Leaving drops the process, which ends it.
        () = feed => return Ok(()),
    };
    let result = match code {
        Ok(code) => exited(code),
        Err(error) => failed(&error.to_string()),
    };
    client?.finish(&result).await
}

async fn forward(mut from: cri::exec::Output, channel: u8, wanted: bool, to: mpsc::Sender<(u8, Vec<u8>)>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            // What nobody wants is read all the same, or the process would block.
            Ok(length) if wanted => {
                if to.send((channel, buffer[..length].to_vec())).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
        }
    }
}
