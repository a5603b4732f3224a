//! TLS that shows what the other side presented, also when it is not to be trusted.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::Serialize;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::http::{Failure, Step};
use crate::access::{NotThrough, Wire};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Whom it is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Names and addresses that it is valid for.
    pub names: Vec<String>,
    /// Its first second, RFC 3339.
    pub not_before: String,
    /// Its last second, RFC 3339.
    pub not_after: String,
}

/// What was seen of a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Handshake {
    /// The chain that was presented, the server's own first.
    pub chain: Vec<Certificate>,
}

/// Which certificates are trusted.
#[derive(Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    /// Nothing is checked.
    anything: bool,
    /// What is shown to those who ask who we are: certificates and their key.
    own: Vec<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Trust {
    /// Shows a certificate with its key (PEM) to a server that asks for one.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn showing(mut self, certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate).filter_map(Result::ok).collect();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "the client's key is no key (PEM)".to_owned())?;
        if chain.is_empty() {
            return Err("the client's certificate is no certificate (PEM)".to_owned());
        }
        self.own.push((chain, key));
        Ok(self)
    }

    /// What this machine trusts, and the given certificates.
    ///
    /// # Errors
    /// When the given ones hold no certificate.
    pub fn of_this_machine(more: Option<&[u8]>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // Without any of its own, a machine may still trust those that are given.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(pem) = more {
            add(&mut roots, pem)?;
        }
        Ok(Self { roots: Arc::new(roots), anything: false, own: Vec::new() })
    }

    /// These certificates alone; PEM, several texts.
    ///
    /// # Errors
    /// When one of them holds no certificate.
    pub fn only(pems: &[Vec<u8>]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for pem in pems {
            add(&mut roots, pem)?;
        }
        Ok(Self { roots: Arc::new(roots), anything: false, own: Vec::new() })
    }

    /// Whatever is presented.
    #[must_use]
    pub fn anything() -> Self {
        Self { roots: Arc::new(RootCertStore::empty()), anything: true, own: Vec::new() }
    }

    /// How a client of any protocol checks certificates.
    pub(crate) fn client(&self) -> Result<ClientConfig, String> {
        self.config().map(|(config, _)| config)
    }

    fn config(&self) -> Result<(ClientConfig, Arc<Watching>), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Watching::new(self, &provider)?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        // Of several, the first: Go would choose by what the server accepts, and nearly always there is one.
        let config = match self.own.first() {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| format!("the client's certificate and key can't be used: {error}"))?,
            None => builder.with_no_client_auth(),
        };
        Ok((config, verifier))
    }

    pub(super) async fn connect(
        &self,
        wire: Box<dyn Wire>,
        host: &str,
    ) -> Result<(TlsStream<Box<dyn Wire>>, Handshake), Failure> {
        let failed = |why: String| Failure::new(Step::Tls, why);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| failed(format!("{host} is no name for TLS")))?;
        let (config, verifier) = self.config().map_err(&failed)?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, wire);
        let result = tokio::time::timeout(HANDSHAKE, connecting).await;
        let handshake = Handshake { chain: verifier.seen() };
        match result {
            Ok(Ok(stream)) => Ok((stream, handshake)),
            Ok(Err(error)) => {
                if let Some(not_through) = NotThrough::of(&error) {
                    return Err(not_through.into());
                }
                let why = problem(&error, host, &handshake);
                let plain = matches!(tls_error(&error), Some(rustls::Error::InvalidMessage(_)));
                Err(Failure { handshake: Some(handshake), plain, ..failed(why) })
            }
            Err(_) => Err(failed(format!("no TLS handshake within {} s", HANDSHAKE.as_secs()))),
        }
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 { Err("the file of authorities holds no certificate (PEM)".to_owned()) } else { Ok(()) }
}

fn tls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

/// In words that say whose fault it is.
fn problem(error: &std::io::Error, host: &str, handshake: &Handshake) -> String {
    let tls = tls_error(error);
    let leaf = handshake.chain.first();
    match tls {
        Some(rustls::Error::InvalidMessage(_)) => {
            "it answers by plain http, not by TLS: the registry has no https (`--plain-http`, or an http:// endpoint)"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            CertificateError::UnknownIssuer => {
                let issuer = leaf.map_or("nobody", |leaf| leaf.issuer.as_str());
                format!("its certificate is signed by an authority that is not trusted here: {issuer}")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                let names = leaf.map(|leaf| leaf.names.join(", ")).unwrap_or_default();
                format!("its certificate is valid for {names}, not for {host}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                let end = leaf.map_or("", |leaf| leaf.not_after.as_str());
                format!("its certificate expired on {end}, or the clock is wrong")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                let begin = leaf.map_or("", |leaf| leaf.not_before.as_str());
                format!("its certificate is valid only from {begin} on, or the clock is wrong")
            }
            other => format!("its certificate is not valid: {other}"),
        },
        Some(other) => format!("TLS: {other}"),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the connection was closed during the TLS handshake".to_owned()
        }
        None => format!("TLS: {error}"),
    }
}

/// Checks as the library does, and keeps what it saw.
struct Watching {
    /// `None` trusts anything.
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<Certificate>>,
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

impl Watching {
    fn new(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        // Without any root the library makes no verifier; then nothing can be trusted, which is found out later.
        let inner = if trust.anything {
            None
        } else {
            let verifier = WebPkiServerVerifier::builder_with_provider(trust.roots.clone(), provider.clone());
            Some(verifier.build().map_err(|_| "no certificate authorities are known here".to_owned())?)
        };
        Ok(Self { inner, provider: provider.clone(), chain: Mutex::default() })
    }

    fn seen(&self) -> Vec<Certificate> {
        self.chain.lock().map(|chain| chain.clone()).unwrap_or_default()
    }
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok(mut chain) = self.chain.lock() {
            *chain = std::iter::once(leaf).chain(intermediates).filter_map(describe).collect();
        }
        match &self.inner {
            Some(inner) => inner.verify_server_cert(leaf, intermediates, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn describe(der: &CertificateDer<'_>) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter().filter_map(name_text).collect()).unwrap_or_default();
    let time = |at: x509_parser::time::ASN1Time| {
        let text = jiff::Timestamp::from_second(at.timestamp()).map(|time| time.to_string());
        text.unwrap_or_else(|_| at.to_string())
    };
    Some(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names,
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
    })
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}
