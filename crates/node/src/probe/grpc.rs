//! The gRPC health checking protocol (`grpc.health.v1.Health/Check`), without generated code: the
//! request is one string, the answer one number.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::duration;

/// `ServingStatus` by number.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// Asks for the health of `service` (empty: of the whole server).
pub(super) async fn check(host: &str, port: u16, service: &str, limit: Duration) -> Result<(), String> {
    let address = format!("{host}:{port}");
    match timeout(limit, call(&address, service)).await {
        Ok(Ok("SERVING")) => Ok(()),
        Ok(Ok(status)) => Err(format!("service unhealthy (responded with {status:?})")),
        Ok(Err(problem)) => Err(problem),
        Err(_) => {
            let limit = duration::go(i128::try_from(limit.as_nanos()).unwrap_or(0));
            Err(format!("timeout: failed to connect service {address:?} within {limit}: context deadline exceeded"))
        }
    }
}

async fn call(address: &str, service: &str) -> Result<&'static str, String> {
    let failed = |err: hyper::Error| format!("error: health rpc probe failed: {err}");
    let stream = TcpStream::connect(address)
        .await
        .map_err(|err| format!("error: failed to connect service at {address:?}: {err}"))?;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(failed)?;
    let exchange = async {
        let request = hyper::Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", "kube-probe/1.37")
            .body(Full::new(request(service)))
            .map_err(|err| err.to_string())?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        let in_headers = grpc_status(answer.headers());
        let body = answer.into_body().collect().await.map_err(failed)?;
        let in_trailers = body.trailers().and_then(grpc_status);
        match in_headers.or(in_trailers) {
            Some((0, _)) | None => status(body.to_bytes()).ok_or_else(|| "error: malformed health answer".to_owned()),
            Some((12, _)) => Err("error: this server does not implement the grpc health protocol".to_owned()),
            Some((code, message)) => Err(format!("error: health rpc probe failed: code {code}: {message}")),
        }
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut exchange => answer,
        _ = &mut connection => exchange.await,
    }
}

fn grpc_status(headers: &hyper::HeaderMap) -> Option<(u32, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Some((text("grpc-status")?.parse().ok()?, text("grpc-message").unwrap_or_default().to_owned()))
}

/// One uncompressed gRPC message: `HealthCheckRequest { service = 1 }`.
fn request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or(0));
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&message);
    Bytes::from(frame)
}

/// `HealthCheckResponse { status = 1 }`; an absent field is zero.
fn status(mut frame: Bytes) -> Option<&'static str> {
    if frame.remaining() < 5 || frame.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(frame.get_u32()).ok()?;
    let message = frame.get(..length)?;
    match message {
        [] => Some(STATUSES[0]),
        [0x08, value, ..] => STATUSES.get(usize::from(*value)).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        assert_eq!(request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(request("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(status(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1])), Some("SERVING"));
        assert_eq!(status(Bytes::from_static(&[0, 0, 0, 0, 0])), Some("UNKNOWN"));
        assert_eq!(status(Bytes::from_static(&[0, 0])), None);
    }
}
