//! Bytes both ways between two upgraded connections.

use std::io;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// How long one direction may go on after the other has ended. Enough to read a result; not for ever, because a client
/// that was killed looks just like one that has nothing more to say.
const LINGER: Duration = Duration::from_secs(30);

/// Waits for both sides to switch, then carries bytes until one of them ends or the server stops.
pub async fn run(client: OnUpgrade, backend: OnUpgrade, stopping: CancellationToken) {
    let work = async {
        let (client, backend) = tokio::try_join!(client, backend)?;
        carry(TokioIo::new(client), TokioIo::new(backend), LINGER).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    tokio::select! {
        ended = work => {
            if let Err(why) = ended {
                tracing::debug!(why, "tunnel ended");
            }
        }
        () = stopping.cancelled() => {}
    }
}

/// Carries bytes both ways. A side that says no more is told on; the other may go on for `linger`.
///
/// # Errors
/// When either side breaks.
pub async fn carry<A, B>(a: A, b: B, linger: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (mut a_reader, mut a_writer) = tokio::io::split(a);
    let (mut b_reader, mut b_writer) = tokio::io::split(b);
    let forth = async {
        tokio::io::copy(&mut a_reader, &mut b_writer).await?;
        b_writer.shutdown().await
    };
    let back = async {
        tokio::io::copy(&mut b_reader, &mut a_writer).await?;
        a_writer.shutdown().await
    };
    let (mut forth, mut back) = (std::pin::pin!(forth), std::pin::pin!(back));
    let rest = tokio::select! {
        ended = &mut forth => {
            ended?;
            tokio::time::timeout(linger, back).await
        }
        ended = &mut back => {
            ended?;
            tokio::time::timeout(linger, forth).await
        }
    };
    rest.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_side_that_has_ended_still_hears_the_other() {
        let (mut client, a) = tokio::io::duplex(64);
        let (b, mut backend) = tokio::io::duplex(64);
        let tunnel = tokio::spawn(carry(a, b, Duration::from_secs(60)));
        client.write_all(b"ask").await.unwrap();
        client.shutdown().await.unwrap();
        let mut asked = String::new();
        backend.read_to_string(&mut asked).await.unwrap();
        backend.write_all(b"answer").await.unwrap();
        backend.shutdown().await.unwrap();
        let mut answered = String::new();
        client.read_to_string(&mut answered).await.unwrap();
        assert_eq!((asked.as_str(), answered.as_str()), ("ask", "answer"));
        tunnel.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_side_that_is_gone_does_not_hold_the_tunnel() {
        let (client, a) = tokio::io::duplex(64);
        let (b, mut backend) = tokio::io::duplex(64);
        let tunnel = tokio::spawn(carry(a, b, Duration::from_millis(1)));
        drop(client);
        assert_eq!(backend.read(&mut [0; 8]).await.unwrap(), 0);
        // The backend never ends; the tunnel does.
        tunnel.await.unwrap().unwrap();
    }
}
