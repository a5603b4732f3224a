//! An API server alone, to try kubectl on: `cargo run -p shipmate-server --example trial -- DIRECTORY [PORT]`.
//!
//! Keeps its log, its certificates and a kubeconfig for an administrator in the directory. Nothing runs pods.

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use server::config::Identity;
use server::http::Tls;
use server::{Config, Server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

type Issuer = CertifiedIssuer<'static, KeyPair>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("name a directory")?);
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    fs::create_dir_all(&directory)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    let authority = authority()?;
    let tls = Tls::new(&identity(&authority, "kube-apiserver", "", true)?, &authority.pem())?;
    fs::write(directory.join("kubeconfig"), kubeconfig(&authority, address)?)?;
    // An address for documentation (RFC 5737): endpoints may not lie in the loopback range.
    let server = serve(&directory, SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), address.port())))?;
    server.bootstrap().await?;
    println!("export KUBECONFIG={}", directory.join("kubeconfig").display());
    let stop = CancellationToken::new();
    let serving = server.serve(vec![listener], Some(tls), stop.clone());
    let interrupted = async {
        let _interrupted = tokio::signal::ctrl_c().await; // Without signals there is nothing to wait for either.
        stop.cancel();
    };
    tokio::join!(serving, interrupted);
    Ok(())
}

fn serve(directory: &Path, address: SocketAddr) -> Result<Arc<Server>, Box<dyn Error>> {
    let catalogue = Arc::new(kinds::catalogue());
    let store = store::Store::open(&directory.join("log"), catalogue)?;
    let mut config = Config::new(address);
    config.tokens.signing_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_der();
    Ok(Server::new(store, Arc::clone(kinds::schema::all()), config)?)
}

fn authority() -> Result<Issuer, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "trial");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn identity(authority: &Issuer, name: &str, group: &str, serves: bool) -> Result<Identity, rcgen::Error> {
    let names = if serves { vec!["localhost".to_owned(), "127.0.0.1".to_owned()] } else { Vec::new() };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    if !group.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn kubeconfig(authority: &Issuer, address: SocketAddr) -> Result<String, rcgen::Error> {
    let encoded = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let admin = identity(authority, "admin", "system:masters", false)?;
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "trial",
        "clusters": [{"name": "trial", "cluster": {
            "server": format!("https://{address}"),
            "certificate-authority-data": encoded(&authority.pem()),
        }}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": encoded(&admin.certificate),
            "client-key-data": encoded(&admin.key),
        }}],
        "contexts": [{"name": "trial", "context": {"cluster": "trial", "user": "admin"}}],
    });
    Ok(config.to_string())
}
