//! This machine as a node.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{Access, AccessError, Feed, Job, Ran, Socket, Wire};

/// How long a connection may take to be there; kernels give up later than people.
const CONNECT: Duration = Duration::from_secs(15);

/// This machine.
pub struct Local {
    node: String,
}

impl Local {
    /// This machine, under its name as a node.
    pub fn new(node: impl Into<String>) -> Self {
        Self { node: node.into() }
    }
}

#[async_trait::async_trait]
impl Access for Local {
    fn node(&self) -> &str {
        &self.node
    }

    async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Ran, AccessError> {
        finish(&self.node, program, command(program, arguments), Input::of(input), limit).await
    }

    async fn feed(&self, program: &str, arguments: &[&str], input: Feed, limit: Duration) -> Result<Ran, AccessError> {
        finish(&self.node, program, command(program, arguments), Input::Feed(input), limit).await
    }

    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, AccessError> {
        let why = match tokio::time::timeout(CONNECT, TcpStream::connect((host, port))).await {
            Ok(Ok(stream)) => return Ok(Box::new(stream)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT.as_secs()),
        };
        Err(AccessError::Dial { node: self.node.clone(), address: format!("{host}:{port}"), why })
    }

    async fn socket(&self, path: &str) -> Result<Socket, AccessError> {
        Ok(Socket::new(PathBuf::from(path), None))
    }

    async fn in_network(&self, work: Job) -> Result<(), AccessError> {
        let failed = |error| AccessError::Run {
            node: self.node.clone(),
            program: "a thread".to_owned(),
            source: io::Error::other(error),
        };
        tokio::task::spawn_blocking(work).await.map_err(failed)
    }
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    // Programs print times, numbers and words in the form that rules read.
    command.env("LC_ALL", "C");
    command
}

/// What a program reads.
pub(super) enum Input<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Feed(Feed),
}

impl<'a> Input<'a> {
    pub(super) fn of(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Nothing, Self::Bytes)
    }
}

/// Runs a command to its end; it is killed when it takes too long or nobody waits any more.
pub(super) async fn finish(
    node: &str,
    program: &str,
    mut command: Command,
    input: Input<'_>,
    limit: Duration,
) -> Result<Ran, AccessError> {
    let failed = |source: io::Error| AccessError::Run { node: node.to_owned(), program: program.to_owned(), source };
    let reads = !matches!(input, Input::Nothing);
    command.stdin(if reads { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let pipe = child.stdin.take();
    let feed = async {
        // A program that does not read to the end says so by its exit code.
        match (pipe, input) {
            (Some(mut pipe), Input::Bytes(input)) => drop(pipe.write_all(input).await),
            (Some(mut pipe), Input::Feed(mut input)) => drop(tokio::io::copy(&mut input, &mut pipe).await),
            _ => {}
        }
    };
    let both = async { tokio::join!(feed, child.wait_with_output()).1 };
    match tokio::time::timeout(limit, both).await {
        Ok(output) => {
            let output = output.map_err(failed)?;
            Ok(Ran { code: output.status.code(), stdout: output.stdout, stderr: output.stderr })
        }
        Err(_) => Err(AccessError::TooSlow { node: node.to_owned(), what: program.to_owned(), limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn programs_get_arguments_and_input_as_they_are() {
        let here = Local::new("here");
        let ran =
            here.run("sh", &["-c", "cat; echo \"$1\" >&2; exit 3", "sh", "a  'b'"], Some(b"in"), LIMIT).await.unwrap();
        assert_eq!((ran.code, ran.text().as_str()), (Some(3), "ina  'b'\n"));
        let missing = here.run("/no/such/program", &[], None, LIMIT).await.unwrap_err();
        assert_eq!(missing.to_string(), "could not run `/no/such/program` on node here");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended() {
        let slow = Local::new("here").run("sleep", &["1000"], None, Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(slow, AccessError::TooSlow { .. }), "{slow}");
    }
}
