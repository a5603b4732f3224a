//! One question to a container: a command, an HTTP request, a connection, or a gRPC health check.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ExecAction, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

use crate::duration;
use crate::node::Node;
use crate::probe::{Target, grpc, http};

/// So much of an answer is shown.
pub(crate) const SHOWN_BYTES: usize = 10 * 1024;

/// Asks once. The error continues the sentence «Readiness probe …».
pub(super) async fn ask(node: &Node, target: &Target, probe: &Probe) -> Result<(), String> {
    let limit = Duration::from_secs(u64::try_from(probe.timeout_seconds.unwrap_or(1)).unwrap_or(1).max(1));
    let failed = |problem: String| format!("failed: {problem}");
    if let Some(action) = &probe.exec {
        return exec(node, &target.id, action, limit).await.map_err(failed);
    }
    if let Some(action) = &probe.http_get {
        let port = port(&action.port, &target.ports).map_err(errored)?;
        let request = http_request(action, &target.host, port, "kube-probe/1.37");
        let answer = http::get(&request, limit).await.map_err(failed)?;
        return match answer.status {
            200..400 => Ok(()),
            status => Err(failed(format!("HTTP probe failed with statuscode: {status}"))),
        };
    }
    if let Some(action) = &probe.tcp_socket {
        let port = port(&action.port, &target.ports).map_err(errored)?;
        let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&target.host);
        return tcp(host, port, limit).await.map_err(failed);
    }
    if let Some(action) = &probe.grpc {
        let port = u16::try_from(action.port).map_err(|_| errored(format!("invalid port {}", action.port)))?;
        let service = action.service.as_deref().unwrap_or_default();
        return grpc::check(&target.host, port, service, limit).await.map_err(failed);
    }
    Err(errored(format!("missing probe handler for {}", target.name)))
}

fn errored(problem: String) -> String {
    format!("errored and resulted in unknown state: {problem}")
}

/// Runs a command in a container; the error is what it printed.
pub(crate) async fn exec(node: &Node, container: &str, action: &ExecAction, limit: Duration) -> Result<(), String> {
    let command = action.command.clone().unwrap_or_default();
    match node.runtime.exec_sync(container, command.clone(), limit).await {
        Ok(output) if output.exit_code == 0 => Ok(()),
        Ok(output) => {
            let mut printed = output.stdout;
            printed.extend_from_slice(&output.stderr);
            printed.truncate(SHOWN_BYTES);
            Err(String::from_utf8_lossy(&printed).into_owned())
        }
        Err(err) if err.code() == Some(Code::DeadlineExceeded) => {
            let limit = duration::go(i128::try_from(limit.as_nanos()).unwrap_or(0));
            Err(format!("command timed out: {:?} timed out after {limit}", command.join(" ")))
        }
        Err(err) => Err(err.event_text()),
    }
}

/// A port by number or by the container's name for it.
pub(crate) fn port(port: &IntOrString, names: &BTreeMap<String, i32>) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => match names.get(name).copied().or_else(|| name.parse().ok()) {
            Some(number) => number,
            None => return Err(format!("couldn't find port: {name:?}")),
        },
    };
    u16::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| format!("invalid port number: {number}"))
}

/// The request of an `httpGet`; `host` is where the pod is.
pub(crate) fn http_request(action: &HTTPGetAction, host: &str, port: u16, agent: &str) -> http::Request {
    let mut headers: Vec<_> =
        action.http_headers.iter().flatten().map(|header| (header.name.clone(), header.value.clone())).collect();
    let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if !has(&headers, "User-Agent") {
        headers.push(("User-Agent".to_owned(), agent.to_owned()));
    }
    if !has(&headers, "Accept") {
        headers.push(("Accept".to_owned(), "*/*".to_owned()));
    }
    let path = action.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    http::Request {
        tls: action.scheme.as_deref() == Some("HTTPS"),
        host: action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| host.to_owned()),
        port,
        path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
        headers,
    }
}

/// Connects once.
pub(crate) async fn tcp(host: &str, port: u16, limit: Duration) -> Result<(), String> {
    match timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(err)) => Err(dial_error(host, port, &err)),
        Err(_) => Err(format!("dial tcp {host}:{port}: i/o timeout")),
    }
}

/// As Go words it, which is what users search for.
pub(crate) fn dial_error(host: &str, port: u16, err: &std::io::Error) -> String {
    let text = match err.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        _ => err.to_string(),
    };
    format!("dial tcp {host}:{port}: connect: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_by_number_and_name() {
        let names = [("web".to_owned(), 8080)].into();
        assert_eq!(port(&IntOrString::Int(80), &names), Ok(80));
        assert_eq!(port(&IntOrString::String("web".into()), &names), Ok(8080));
        assert_eq!(port(&IntOrString::String("90".into()), &names), Ok(90));
        assert!(port(&IntOrString::String("x".into()), &names).is_err());
        assert!(port(&IntOrString::Int(0), &names).is_err());
    }
}
