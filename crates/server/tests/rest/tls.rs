//! Over sockets: TLS with HTTP/1.1 and HTTP/2, client certificates, shutdown.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use server::config::Identity;
use server::http::Tls;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::world::World;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn identity(authority: &Issuer, name: &str, group: &str) -> Identity {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, group);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap().pem();
    Identity { certificate, key: key.serialize_pem() }
}

async fn connect(
    address: SocketAddr,
    authority: &Issuer,
    client: Option<&Identity>,
    alpn: &str,
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = vec![CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

fn request(address: SocketAddr, path: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(format!("https://{address}{path}"))
        .header("host", address.to_string())
        .body(Empty::new())
        .unwrap()
}

async fn read(response: http::Response<hyper::body::Incoming>) -> (u16, Value) {
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_until_the_end() {
    let world = World::new().await;
    let authority = authority();
    let tls = Tls::new(&identity(&authority, "kube-apiserver", ""), &authority.pem()).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let server = Arc::clone(&world.server);
    let serving = tokio::spawn({
        let stop = stop.clone();
        async move { server.serve(vec![listener], Some(tls), stop).await }
    });
    let admin = identity(&authority, "jo", "system:masters");
    let path = "/api/v1/namespaces/default/services/kubernetes";

    let stream = connect(address, &authority, Some(&admin), "http/1.1").await;
    let (mut one, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let first = tokio::spawn(connection);
    let (code, service) = read(one.send_request(request(address, path)).await.unwrap()).await;
    assert_eq!((code, &service["spec"]["clusterIP"]), (200, &Value::from("10.96.0.1")));

    let stream = connect(address, &authority, Some(&admin), "h2").await;
    let (mut two, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let second = tokio::spawn(connection);
    let mut watches = Vec::new();
    for _ in 0..1200 {
        let watch = two.send_request(request(address, "/api/v1/namespaces?watch=1")).await.unwrap();
        assert_eq!(watch.status(), 200, "all on one connection");
        watches.push(watch);
    }
    let (code, _) = read(two.send_request(request(address, path)).await.unwrap()).await;
    assert_eq!(code, 200);

    let stream = connect(address, &authority, None, "http/1.1").await;
    let (mut stranger, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let third = tokio::spawn(connection);
    let (code, status) = read(stranger.send_request(request(address, path)).await.unwrap()).await;
    assert_eq!((code, &status["reason"]), (403, &Value::from("Forbidden")));

    stop.cancel();
    serving.await.unwrap();
    drop(watches);
    let _ended = tokio::join!(first, second, third);
    assert!(TcpStream::connect(address).await.is_err());
}
