//! Connections to kubelets and pods.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::{Reason, Status, View};
use k8s_openapi::api::core::v1::Node;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Config, SetupError};

/// How long connecting and TLS may take together.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where kubelets listen unless their node says otherwise.
const KUBELET_PORT: u16 = 10_250;

/// A connection, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How the other end is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS; the other end is a kubelet with a certificate of the cluster's CA, and gets this server's.
    Kubelet,
    /// TLS with whatever certificate: pods have their own, of whoever made it.
    Any,
    /// None.
    Plain,
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is spoken to.
    pub security: Security,
}

impl Target {
    /// `HOST:PORT`, as the Host header has it.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The kubelet of a node.
    ///
    /// # Errors
    /// When there is no such node, or it has no address.
    pub fn kubelet(view: &View, node: &str) -> Result<Self, Status> {
        let found = view.get::<Node>("", node).ok_or_else(|| Status::not_found("", "nodes", node))?;
        let status = found.status.as_ref();
        let addresses = status.and_then(|status| status.addresses.as_deref()).unwrap_or_default();
        let of_type = |kind: &str| addresses.iter().find(|one| one.type_ == kind).map(|one| one.address.clone());
        let host = of_type("InternalIP").or_else(|| of_type("ExternalIP")).or_else(|| of_type("Hostname"));
        let host = host.ok_or_else(|| {
            Status::internal(format!("no preferred addresses found; known addresses: []: node {node:?}"))
        })?;
        let endpoints = status.and_then(|status| status.daemon_endpoints.as_ref());
        let port = endpoints.and_then(|all| all.kubelet_endpoint.as_ref()).map(|endpoint| endpoint.port);
        let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).unwrap_or(KUBELET_PORT);
        Ok(Self { host, port, security: Security::Kubelet })
    }
}

/// Makes connections.
pub struct Dialer {
    kubelet: TlsConnector,
    any: TlsConnector,
}

impl Dialer {
    /// Reads the certificates that are needed. Without a CA or client certificate no kubelet is believed, or believes.
    ///
    /// # Errors
    /// When a certificate or key is unusable.
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        let provider = Arc::new(ring::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(bad("tls"))
        };
        let mut roots = RootCertStore::empty();
        for root in certificates(&config.ca).map_err(bad("ca"))? {
            roots.add(root).map_err(bad("ca"))?;
        }
        let trusting = builder()?.with_root_certificates(roots);
        let kubelet = if config.kubelet_client.certificate.is_empty() {
            trusting.with_no_client_auth()
        } else {
            let chain = certificates(&config.kubelet_client.certificate).map_err(bad("kubelet_client.certificate"))?;
            let key = PrivateKeyDer::from_pem_slice(config.kubelet_client.key.as_bytes());
            let key = key.map_err(bad("kubelet_client.key"))?;
            trusting.with_client_auth_cert(chain, key).map_err(bad("kubelet_client"))?
        };
        let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
        let any = builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(Self { kubelet: TlsConnector::from(Arc::new(kubelet)), any: TlsConnector::from(Arc::new(any)) })
    }

    /// Connects.
    ///
    /// # Errors
    /// `error dialing backend: …`.
    pub async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, Status> {
        let work = self.try_connect(target);
        let failed = match tokio::time::timeout(TIMEOUT, work).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure(target, &error),
            Err(_) => format!("dial tcp {}: i/o timeout", target.authority()),
        };
        Err(Status::new(Reason::InternalError, format!("error dialing backend: {failed}")))
    }

    async fn try_connect(&self, target: &Target) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        // Tunnels carry small frames both ways; without this each waits for the other's acknowledgement.
        stream.set_nodelay(true)?;
        let connector = match target.security {
            Security::Plain => return Ok(Box::new(stream)),
            Security::Kubelet => &self.kubelet,
            Security::Any => &self.any,
        };
        let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

fn bad<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> SetupError {
    move |why| SetupError::Config { what, why: why.to_string() }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

/// A failed connection in the words that Go has for it.
fn failure(target: &Target, error: &io::Error) -> String {
    let tcp = |why: &str| format!("dial tcp {}: connect: {why}", target.authority());
    match error.kind() {
        io::ErrorKind::ConnectionRefused => tcp("connection refused"),
        io::ErrorKind::HostUnreachable => tcp("no route to host"),
        io::ErrorKind::NetworkUnreachable => tcp("network is unreachable"),
        io::ErrorKind::TimedOut => format!("dial tcp {}: i/o timeout", target.authority()),
        io::ErrorKind::InvalidData => format!("tls: failed to verify certificate: {error}"),
        _ => format!("dial tcp {}: {error}", target.authority()),
    }
}

/// Whether an address is one that pods can have: nobody may reach this server's own services through a pod's status.
pub fn is_proxyable(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(special || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// Believes every certificate. Only for pods and services, where Kubernetes does the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
