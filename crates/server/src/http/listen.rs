//! Listening: TLS with optional client certificates, HTTP/1.1 and HTTP/2 chosen by ALPN (RFC 7301).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::auth::Peer;
use crate::config::Identity;
use crate::request::BoxError;
use crate::{Server, SetupError};

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of an HTTP/1.1 request.
const HEAD: Duration = Duration::from_secs(60);
/// Streams of one HTTP/2 connection: clients put all their watches on one.
const STREAMS: u32 = 2000;
/// How long open requests may go on after shutdown began.
const DRAIN: Duration = Duration::from_secs(5);
/// How long to wait when the process is out of files.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// What a listener speaks TLS with.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// TLS with `server`'s certificate; client certificates are asked for, and must be signed by `client_ca` if sent.
    ///
    /// # Errors
    /// When a certificate or key is unusable.
    pub fn new(server: &Identity, client_ca: &str) -> Result<Self, SetupError> {
        let bad = |what| move |why: String| SetupError::Config { what, why };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(client_ca).map_err(bad("client CA"))? {
            roots.add(certificate).map_err(|error| bad("client CA")(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| bad("client CA")(error.to_string()))?;
        let chain = certificates(&server.certificate).map_err(bad("server certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes())
            .map_err(|error| bad("server key")(error.to_string()))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("TLS versions")(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| bad("server certificate")(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

impl Server {
    /// Serves on `listeners` until `stop` is cancelled and what was open has ended. Without `tls` it speaks plain
    /// HTTP, for tests.
    pub async fn serve(self: &Arc<Self>, listeners: Vec<TcpListener>, tls: Option<Tls>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.config.max_connections));
        let accepting = listeners.into_iter().map(|listener| {
            let (server, tls, stop, places) = (Arc::clone(self), tls.clone(), stop.clone(), Arc::clone(&places));
            tokio::spawn(async move { accept(&server, &listener, tls.as_ref(), &stop, &places).await })
        });
        let accepting: Vec<_> = accepting.collect();
        let expiry = tokio::spawn(crate::expire::run(Arc::clone(self), stop.clone()));
        let upkeep = tokio::spawn(crate::bootstrap::keep_own_service(Arc::clone(self), stop.clone()));
        for task in accepting {
            if task.await.is_err() {
                tracing::error!("a listener ended in a panic");
            }
        }
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(open = self.tasks.len(), "connections were still open at shutdown");
        }
        expiry.abort();
        upkeep.abort();
    }
}

/// Accepts connections until `stop`.
async fn accept(
    server: &Arc<Server>,
    listener: &TcpListener,
    tls: Option<&Tls>,
    stop: &CancellationToken,
    places: &Arc<Semaphore>,
) {
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(places).acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(OUT_OF_FILES).await;
                continue;
            }
        };
        let (server, tls) = (Arc::clone(server), tls.cloned());
        let tasks = server.tasks.clone();
        tasks.spawn(async move {
            let _place = place;
            if let Err(error) = connection(&server, stream, address, tls).await {
                tracing::debug!(%address, error, "connection ended");
            }
        });
    }
}

/// Serves one connection to its end.
async fn connection(
    server: &Arc<Server>,
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Tls>,
) -> Result<(), BoxError> {
    stream.set_nodelay(true)?;
    let Some(Tls(acceptor)) = tls else {
        return http(server, stream, Peer { address, certificates: Vec::new(), user: OnceLock::new() }).await;
    };
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
    http(server, stream, Peer { address, certificates, user: OnceLock::new() }).await
}

async fn http<S>(server: &Arc<Server>, stream: S, peer: Peer) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS).adaptive_window(true);
    let peer = Arc::new(peer);
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let (server, peer) = (Arc::clone(server), Arc::clone(&peer));
        let answer = async move {
            let request = request.map(|body| body.map_err(BoxError::from).boxed());
            Ok::<_, Infallible>(server.handle(request, &peer).await)
        };
        answer.boxed()
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = server.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
