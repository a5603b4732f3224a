//! A connection that a program carries: its two pipes, and what it says when it fails.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::NotThrough;

/// Words of a program that failed, at most.
const WORDS: u64 = 4 << 10;

/// The pipes of a program, which ends with them.
///
/// That a connection can't be made shows when the program ends without a byte. Its words are the error then.
pub(super) struct Piped {
    from: ChildStdout,
    to: ChildStdin,
    /// What it says; being read from the first end of the answer on.
    errors: Errors,
    /// Whether something came.
    came: bool,
    /// Learns whether sshd forbids to forward.
    forbidden: Arc<AtomicBool>,
    _child: Child,
}

type Reading = Pin<Box<dyn Future<Output = String> + Send>>;

enum Errors {
    Unread(Option<ChildStderr>),
    Reading(Reading),
    Read,
}

impl Piped {
    /// Over a program whose three streams are pipes.
    pub(super) fn new(mut child: Child, forbidden: Arc<AtomicBool>) -> io::Result<Self> {
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let errors = Errors::Unread(child.stderr.take());
        Ok(Self { from, to, errors, came: false, forbidden, _child: child })
    }

    /// What the program said when it ended without a byte.
    fn poll_words(&mut self, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Errors::Unread(stderr) = &mut self.errors {
            let stderr = stderr.take();
            self.errors = Errors::Reading(Box::pin(async move {
                let mut words = Vec::new();
                if let Some(stderr) = stderr {
                    // Without its words there is still the fact.
                    drop(stderr.take(WORDS).read_to_end(&mut words).await);
                }
                String::from_utf8_lossy(&words).into_owned()
            }));
        }
        let Errors::Reading(reading) = &mut self.errors else { return Poll::Ready(Ok(())) };
        let words = ready!(reading.as_mut().poll(ctx));
        self.errors = Errors::Read;
        let forbidden = words.contains("administratively prohibited");
        if forbidden {
            self.forbidden.store(true, Ordering::Relaxed);
        }
        match reason(&words) {
            Some(why) => Poll::Ready(Err(io::Error::other(NotThrough { why, forbidden }))),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// The words that say why, of ssh's or bash's.
fn reason(words: &str) -> Option<String> {
    if let Some(host_key) = super::ssh::host_key(words) {
        return Some(host_key);
    }
    let line = words.lines().map(str::trim).find(|line| {
        [
            "open failed",
            "onnection refused",
            "timed out",
            "oute to host",
            "nreachable",
            "not known",
            "resol",
            "prohibited",
        ]
        .iter()
        .any(|word| line.contains(word))
    });
    let line = line.or_else(|| words.lines().map(str::trim).find(|line| !line.is_empty()))?;
    Some(line.rsplit_once("open failed: ").map_or(line, |(_, why)| why).to_owned())
}

impl AsyncRead for Piped {
    fn poll_read(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.from).poll_read(ctx, into))?;
        if into.filled().len() > before {
            self.came = true;
        } else if !self.came && into.remaining() > 0 {
            return self.poll_words(ctx);
        }
        Poll::Ready(Ok(()))
    }
}

impl Piped {
    /// A program that has ended takes nothing more. Why it ended is what reading tells, so writing does not fail for it.
    fn taken(written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Poll::Ready(Ok(length)),
            written => written,
        }
    }
}

impl AsyncWrite for Piped {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::taken(Pin::new(&mut self.to).poll_write(ctx, bytes), bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(ctx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_among_the_words() {
        let told = |words: &str| reason(words).unwrap();
        let ssh = "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\n";
        assert_eq!(told(ssh), "connect failed: Connection refused");
        assert_eq!(
            told("channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n"),
            "administratively prohibited: open failed"
        );
        let bash = "bash: connect: Connection refused\nbash: line 1: /dev/tcp/127.0.0.1/1: Connection refused\n";
        assert_eq!(told(bash), "bash: connect: Connection refused");
        assert_eq!(reason("\n"), None);
    }
}
