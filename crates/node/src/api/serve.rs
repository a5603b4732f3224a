//! The HTTPS server of the kubelet API.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cri::Runtime;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::exec::Wanted;
use super::logs::{self, Source};
use super::pods::{Pods, Unknown};
use super::route::{Refused, Route, route};
use super::{attach, exec, port_forward, stats, stream};

/// Connections at once.
const CONNECTIONS: usize = 1024;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pieces of a log that may wait for a slow reader.
const LOG_PIECES: usize = 4;
/// Names of client certificates that may use this API.
const CALLERS: [&str; 2] = ["kube-apiserver-kubelet-client", "kubernetes-admin"];

type Body = BoxBody<Bytes, io::Error>;

/// Why the API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The port is taken, or the address is not ours.
    #[error("listen on {address} for the kubelet API")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A certificate or key can't be used.
    #[error("use the kubelet's certificate, key and CA: {0}")]
    Tls(String),
}

/// The bound kubelet API.
pub struct Api {
    listener: TcpListener,
    tls: TlsAcceptor,
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Runtime,
    pods: Arc<dyn Pods>,
    stats: stats::Stats,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Api {
    /// Listens on `address` with a serving certificate; callers are known by certificates of `ca`. All are PEM files.
    ///
    /// # Errors
    /// When the address is taken, or a file can't be used.
    pub async fn bind(
        address: SocketAddr,
        (certificate, key, ca): (&Path, &Path, &Path),
        node: &str,
        runtime: Runtime,
        pods: Arc<dyn Pods>,
    ) -> Result<Self, BindError> {
        let tls = tls(certificate, key, ca).map_err(BindError::Tls)?;
        let listener = TcpListener::bind(address).await.map_err(|source| BindError::Listen { address, source })?;
        let stats = stats::Stats::new(node, runtime.clone(), pods.clone());
        let shared = Shared { runtime, pods, stats, tasks: TaskTracker::new(), stop: CancellationToken::new() };
        Ok(Self { listener, tls: TlsAcceptor::from(Arc::new(tls)), shared: Arc::new(shared) })
    }
}

fn tls(certificate: &Path, key: &Path, ca: &Path) -> Result<rustls::ServerConfig, String> {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, String> {
        let read = CertificateDer::pem_file_iter(path).map_err(|error| named(path, &error))?;
        read.collect::<Result<_, _>>().map_err(|error| named(path, &error))
    };
    let mut roots = rustls::RootCertStore::empty();
    for root in certificates(ca)? {
        roots.add(root).map_err(|error| named(ca, &error))?;
    }
    let verifier =
        rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|error| named(ca, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, &error))?;
    let mut config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(certificate)?, private)
        .map_err(|error| named(certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Serves until `stop`; open streams end then.
pub async fn run(api: Api, stop: CancellationToken) {
    let Api { listener, tls, shared } = api;
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: others have to end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
        let (tls, shared) = (tls.clone(), shared.clone());
        shared.clone().tasks.spawn(async move {
            let stopping = shared.stop.clone();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = connection(shared, tls, stream) => {}
            }
            drop(slot);
        });
    }
    shared.stop.cancel();
    shared.tasks.close();
    shared.tasks.wait().await;
}

async fn connection(shared: Arc<Shared>, tls: TlsAcceptor, stream: TcpStream) {
    drop(stream.set_nodelay(true)); // Only speed is lost.
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else { return };
    let caller = stream.get_ref().1.peer_certificates().and_then(|chain| common_name(chain.first()?));
    let allowed = caller.as_deref().is_some_and(|name| CALLERS.contains(&name));
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move {
            let response = if allowed {
                answer(&shared, request).await
            } else {
                text(StatusCode::FORBIDDEN, "this certificate may not use the kubelet API")
            };
            Ok::<_, Infallible>(response)
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the kubelet API ended early");
    }
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let uri = request.uri();
    match route(request.method(), uri.path(), uri.query(), Timestamp::now()) {
        Err(Refused::NotFound) => text(StatusCode::NOT_FOUND, "404 page not found"),
        Err(Refused::Method) => text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed"),
        Err(Refused::Query(why)) => text(StatusCode::BAD_REQUEST, &why),
        Ok(Route::Healthz) => text(StatusCode::OK, "ok"),
        Ok(Route::Stats) => match shared.stats.summary().await {
            Ok(summary) => json(&summary),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        Ok(Route::Logs { namespace, pod, container, options }) => {
            let source = Source { pods: shared.pods.clone(), namespace, pod, container };
            send_logs(shared, source, *options)
        }
        Ok(Route::Exec { namespace, pod, container, wanted }) => {
            let shared = shared.clone();
            match running(&shared, &namespace, &pod, &container) {
                Ok(id) => upgrade(&shared.clone(), request, &stream::PROTOCOLS, move |upgraded| {
                    exec::run(shared.runtime.clone(), id, wanted, upgraded)
                }),
                Err(response) => *response,
            }
        }
        Ok(Route::Attach { namespace, pod, container, wanted }) => {
            answer_attach(shared, request, (&namespace, &pod, &container), wanted)
        }
        Ok(Route::PortForward { namespace, pod }) => answer_port_forward(shared, request, &namespace, &pod).await,
    }
}

fn answer_attach(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    (namespace, pod, container): (&str, &str, &str),
    mut wanted: Wanted,
) -> Response<Body> {
    let id = match running(shared, namespace, pod, container) {
        Ok(id) => id,
        Err(response) => return *response,
    };
    let mut missed = None;
    if let Ok(found) = shared.pods.container(namespace, pod, container, false) {
        // containerd refuses what the container was not made with.
        wanted.stdin &= found.stdin;
        wanted.tty = found.tty;
        missed = (wanted.stdin && found.stdin_once).then_some(found.log);
    }
    let runtime = shared.runtime.clone();
    upgrade(shared, request, &stream::PROTOCOLS, move |upgraded| attach::run(runtime, id, wanted, missed, upgraded))
}

async fn answer_port_forward(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    namespace: &str,
    pod: &str,
) -> Response<Body> {
    let sandbox = match shared.pods.sandbox(namespace, pod) {
        Ok(sandbox) => sandbox,
        Err(error) => return unknown(&error),
    };
    // Which ports are wanted stands in the streams inside the tunnel.
    let backend = match shared.runtime.port_forward(&sandbox, Vec::new()).await {
        Ok(url) => port_forward::connect(&url).await,
        Err(error) => Err(error.event_text()),
    };
    match backend {
        Ok(backend) => {
            upgrade(shared, request, &[port_forward::PROTOCOL], move |upgraded| port_forward::run(backend, upgraded))
        }
        Err(why) => text(StatusCode::INTERNAL_SERVER_ERROR, &why),
    }
}

fn send_logs(shared: &Arc<Shared>, source: Source, options: logs::Options) -> Response<Body> {
    let found = source.pods.container(&source.namespace, &source.pod, &source.container, options.previous);
    let path = match found {
        Ok(found) => found.log,
        Err(error) => return unknown(&error),
    };
    if let Err(error) = std::fs::metadata(&path) {
        tracing::debug!(%error, path = %path.display(), "a log was asked for that is not there");
        let message = format!("the container {:?} has written no log that is still kept", source.container);
        return text(StatusCode::NOT_FOUND, &message);
    }
    let (to, mut from) = mpsc::channel(LOG_PIECES);
    shared.tasks.spawn(logs::send(source, path, options, to));
    let pieces = futures::stream::poll_fn(move |context| from.poll_recv(context)).map(|piece| piece.map(Frame::data));
    let mut response = Response::new(BoxBody::new(StreamBody::new(pieces)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The id of a container that runs, or the answer that says why there is none.
fn running(shared: &Shared, namespace: &str, pod: &str, container: &str) -> Result<String, Box<Response<Body>>> {
    let found = shared.pods.container(namespace, pod, container, false).map_err(|error| Box::new(unknown(&error)))?;
    match found {
        super::Container { id: Some(id), running: true, .. } => Ok(id),
        _ => {
            let message = format!("container {container} of pod {namespace}/{pod} is not running");
            Err(Box::new(text(StatusCode::INTERNAL_SERVER_ERROR, &message)))
        }
    }
}

/// Switches to a WebSocket with the first protocol that both sides speak, and runs `work` on it.
fn upgrade<F>(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
    protocols: &[&'static str],
    work: impl FnOnce(hyper::upgrade::Upgraded) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = ()> + Send,
{
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() else {
        return text(StatusCode::BAD_REQUEST, "only WebSocket upgrades are supported: use kubectl 1.31 or newer");
    };
    let asked = asked_protocols(request.headers());
    let Some(protocol) = protocols.iter().find(|protocol| asked.iter().any(|one| one == *protocol)) else {
        let message = format!("none of the protocols {asked:?} is supported; supported are {protocols:?}");
        return text(StatusCode::FORBIDDEN, &message);
    };
    let upgrading = hyper::upgrade::on(&mut request);
    let stopping = shared.stop.clone();
    shared.tasks.spawn(async move {
        let Ok(upgraded) = upgrading.await else { return };
        tokio::select! {
            () = stopping.cancelled() => {}
            () = work(upgraded) => {}
        }
    });
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn asked_protocols(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|one| one.trim().to_owned()).collect()
}

fn unknown(error: &Unknown) -> Response<Body> {
    let status = match error {
        Unknown::Pod => StatusCode::NOT_FOUND,
        Unknown::Container(..) | Unknown::Previous(..) | Unknown::Waiting { .. } => StatusCode::BAD_REQUEST,
        Unknown::Sandbox(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    text(status, &error.to_string())
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(full(text.to_owned().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string().into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

fn empty() -> Body {
    full(Bytes::new())
}
