//! This machine as a node.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{Access, AccessError, Ran, Socket};

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
        let mut command = Command::new(program);
        command.args(arguments);
        // Programs print times, numbers and words in the form that rules read.
        command.env("LC_ALL", "C");
        finish(&self.node, program, command, input, limit).await
    }

    async fn socket(&self, path: &str) -> Result<Socket, AccessError> {
        Ok(Socket::new(PathBuf::from(path), None))
    }
}

/// Runs a command to its end; it is killed when it takes too long or nobody waits any more.
pub(super) async fn finish(
    node: &str,
    program: &str,
    mut command: Command,
    input: Option<&[u8]>,
    limit: Duration,
) -> Result<Ran, AccessError> {
    let failed = |source: io::Error| AccessError::Run { node: node.to_owned(), program: program.to_owned(), source };
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let pipe = child.stdin.take();
    let feed = async {
        if let (Some(mut pipe), Some(input)) = (pipe, input) {
            // A program that does not read to the end says so by its exit code.
            drop(pipe.write_all(input).await);
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
