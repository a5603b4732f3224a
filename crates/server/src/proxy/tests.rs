//! Proxies against a kubelet that is a page of code: what it is asked, what comes back, and what is refused before.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use api::Key;
use api::schema::SchemaSet;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use store::{Expect, Store, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::Identity;
use crate::{Config, Server};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn identity(authority: &Issuer, name: &str) -> Identity {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Identity { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// What the kubelet measured.
const SUMMARY: &str = r#"{
    "node": {
        "nodeName": "one",
        "cpu": {"time": "2026-01-01T00:00:07.5Z", "usageNanoCores": 250000000, "usageWindowNanos": 1500000000},
        "memory": {"time": "2026-01-01T00:00:07.5Z", "workingSetBytes": 2147483648}
    },
    "pods": [{
        "podRef": {"namespace": "shop", "name": "web", "uid": "web-1"},
        "containers": [
            {
                "name": "waiting",
                "cpu": {"time": "2026-01-01T00:00:07Z", "usageNanoCores": 0},
                "memory": {"workingSetBytes": 8192}
            },
            {
                "name": "app",
                "cpu": {"time": "2026-01-01T00:00:08Z", "usageNanoCores": 1500},
                "memory": {"workingSetBytes": 4096}
            }
        ]
    }]
}"#;

/// Answers with what it was asked; upgrades echo in capitals; the container `waiting` has no log.
async fn answer(mut request: http::Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = format!("{} {}", request.method(), request.uri());
    let full = |code: StatusCode, text: String| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = code;
        response
    };
    if request.headers().contains_key("authorization") {
        return Ok(full(StatusCode::UNAUTHORIZED, "got the client's credentials".to_owned()));
    }
    if asked.contains("/waiting") {
        return Ok(full(
            StatusCode::BAD_REQUEST,
            "container \"waiting\" in pod \"web\" is waiting to start".to_owned(),
        ));
    }
    if asked == "GET /stats/summary" {
        return Ok(full(StatusCode::OK, SUMMARY.to_owned()));
    }
    if !request.headers().contains_key("upgrade") {
        return Ok(full(StatusCode::OK, asked));
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgraded.await.unwrap());
        stream.write_all(format!("{asked}\n").as_bytes()).await.unwrap();
        let mut bytes = [0; 1024];
        loop {
            match stream.read(&mut bytes).await {
                Ok(n) if n > 0 => stream.write_all(&bytes[..n].to_ascii_uppercase()).await.unwrap(),
                _ => break,
            }
        }
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let mut response = full(StatusCode::SWITCHING_PROTOCOLS, String::new());
    for name in ["connection", "upgrade"] {
        let value = request.headers()[name].clone();
        response.headers_mut().insert(http::HeaderName::from_static(name), value);
    }
    Ok(response)
}

/// A kubelet that asks for client certificates of `authority`.
async fn kubelet(authority: &Issuer) -> SocketAddr {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let own = identity(authority, "system:node:one");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let builder = hyper::server::conn::http1::Builder::new();
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)).with_upgrades());
        }
    });
    address
}

pub(crate) struct World {
    server: Arc<Server>,
    address: SocketAddr,
    stop: CancellationToken,
}

impl World {
    /// A server that lets everybody do everything, with a pod on a node whose kubelet listens at `kubelet`.
    async fn new(authority: &Issuer, kubelet: SocketAddr) -> Self {
        let store = Store::in_memory(Arc::new(kinds::catalogue())).unwrap();
        let mut config = Config::new(SocketAddr::from(([192, 0, 2, 1], 6443)));
        config.ca = authority.pem();
        config.kubelet_client = identity(authority, "kube-apiserver-kubelet-client");
        let server = Server::new(store, Arc::new(SchemaSet::default()), config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (serving, stopped) = (Arc::clone(&server), stop.clone());
        tokio::spawn(async move { serving.serve(vec![listener], None, stopped).await });
        let world = Self { server, address, stop };
        world.fill(kubelet).await;
        world
    }

    async fn fill(&self, kubelet: SocketAddr) {
        let pod = |name: &str, node: Option<&str>, containers: &[&str]| {
            let containers: Vec<Value> = containers.iter().map(|name| json!({"name": name})).collect();
            json!({
                "kind": "Pod",
                "metadata": {"namespace": "shop", "name": name, "uid": format!("{name}-1"), "labels": {"app": name}},
                "spec": {"nodeName": node, "containers": containers},
                "status": {"podIP": "127.0.0.1", "phase": "Running"},
            })
        };
        self.put(pod("web", Some("one"), &["app", "waiting"])).await;
        self.put(pod("new", None, &["app"])).await;
        self.put(pod("lost", Some("two"), &["app"])).await;
        self.put(node("one", kubelet)).await;
        // Nobody listens on port 1.
        self.put(node("two", SocketAddr::from(([127, 0, 0, 1], 1)))).await;
        self.put(json!({
            "kind": "Service",
            "metadata": {"namespace": "shop", "name": "front"},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        }))
        .await;
        self.allow(&["*"]).await;
    }

    async fn allow(&self, verbs: &[&str]) {
        self.put(json!({
            "kind": "ClusterRole",
            "metadata": {"name": "all"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": verbs}],
        }))
        .await;
        self.put(json!({
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "all"},
            "roleRef": {"kind": "ClusterRole", "name": "all"},
            "subjects": [{"kind": "User", "name": "system:anonymous"}],
        }))
        .await;
    }

    async fn put(&self, object: Value) {
        let name = object["kind"].as_str().unwrap();
        let kind = self.server.catalogue.kinds().iter().find(|kind| kind.kind == name).unwrap();
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let key = Key::new(kind.id, text("namespace"), text("name"));
        self.server.store.commit(vec![Write { key, expect: Expect::Any, value: Some(object) }]).await.unwrap();
    }

    async fn connect(&self, method: &str, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Status code and body of a plain request.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.get_with(path, "").await
    }

    /// The same with headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &str) -> (u16, String) {
        let mut stream = self.connect("GET", path, &format!("Connection: close\r\n{headers}")).await;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() };
        (code, body)
    }

    /// The message of a refusal.
    pub(crate) async fn refused(&self, path: &str) -> (u16, String) {
        let (code, body) = self.get(path).await;
        let status: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status["code"], json!(code));
        (code, status["message"].as_str().unwrap().to_owned())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn node(name: &str, kubelet: SocketAddr) -> Value {
    json!({
        "kind": "Node",
        "metadata": {"name": name},
        "status": {
            "addresses": [{"type": "InternalIP", "address": kubelet.ip().to_string()}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port()}},
        },
    })
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    out
}

pub(crate) async fn world() -> World {
    let authority = authority();
    let kubelet = kubelet(&authority).await;
    World::new(&authority, kubelet).await
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Basic eDp5\r\n";

/// Reads up to and including the end of the head, and up to the end of the first line after it.
async fn head_and_line(stream: &mut TcpStream) -> (String, String) {
    let mut text = String::new();
    loop {
        let byte = stream.read_u8().await.unwrap();
        text.push(char::from(byte));
        if let Some((head, line)) = text.split_once("\r\n\r\n")
            && (line.ends_with('\n') || !head.starts_with("HTTP/1.1 101"))
        {
            return (head.to_owned(), line.to_owned());
        }
    }
}

#[tokio::test]
async fn logs_come_from_the_kubelet() {
    let world = world().await;
    let base = "/api/v1/namespaces/shop/pods";
    assert_eq!(
        world.get(&format!("{base}/web/log?container=app&follow=true&tailLines=5")).await,
        (200, "GET /containerLogs/shop/web/app?follow=true&tailLines=5".to_owned())
    );
    assert_eq!(world.get(&format!("{base}/new/log")).await, (200, String::new()));
}

#[tokio::test]
async fn what_can_not_be_answered_is_refused_as_in_kubernetes() {
    let world = world().await;
    let base = "/api/v1/namespaces/shop/pods";
    let cases = [
        ("gone/log", 404, "pods \"gone\" not found"),
        ("web/log", 400, "a container name must be specified for pod web, choose one of: [app waiting]"),
        ("web/log?container=x", 400, "container x is not valid for pod web"),
        ("web/log?container=waiting", 400, "container \"waiting\" in pod \"web\" is waiting to start"),
        ("lost/log", 500, "error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused"),
        (
            "web/log?container=app&tailLines=-1",
            422,
            "PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
        ),
        ("new/exec?command=sh", 400, "pod new does not have a host assigned"),
        ("web/exec?command=sh&container=app", 400, "Upgrade request required"),
        ("gone/portforward", 404, "pods \"gone\" not found"),
        ("web/proxy/x", 400, "address not allowed"),
        ("gone/proxy/x", 404, "pods \"gone\" not found"),
    ];
    for (path, code, message) in cases {
        assert_eq!(world.refused(&format!("{base}/{path}")).await, (code, message.to_owned()), "{path}");
    }
    let service = "/api/v1/namespaces/shop/services";
    let cases = [
        ("gone/proxy/", 404, "services \"gone\" not found"),
        ("front/proxy/", 503, "no endpoints available for service \"front\""),
        ("front:x/proxy/", 503, "no service port \"x\" found for service \"front\""),
    ];
    for (path, code, message) in cases {
        assert_eq!(world.refused(&format!("{service}/{path}")).await, (code, message.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn bytes_pass_a_tunnel_untouched() {
    let world = world().await;
    let path = "/api/v1/namespaces/shop/pods/web/exec?command=sh&container=app&stdin=true&stdout=true";
    for method in ["GET", "POST"] {
        let mut stream = world.connect(method, path, UPGRADE).await;
        let (head, line) = head_and_line(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.to_lowercase().contains("upgrade: websocket"), "{head}");
        assert_eq!(line, format!("{method} /exec/shop/web/app?input=1&output=1&command=sh\n"));
        stream.write_all(b"hello").await.unwrap();
        let mut echoed = [0; 5];
        stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(&echoed, b"HELLO");
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "bye");
    }
}

#[tokio::test]
async fn nothing_is_left_when_tunnels_have_ended() {
    let world = world().await;
    let path = "/api/v1/namespaces/shop/pods/web/portforward";
    let mut stream = world.connect("POST", path, UPGRADE).await;
    let (_, line) = head_and_line(&mut stream).await;
    assert_eq!(line, "POST /portForward/shop/web\n");
    drop(stream);
    world.stop.cancel();
    world.server.tasks.wait().await;
}

#[tokio::test]
async fn a_get_that_upgrades_needs_the_permission_to_create() {
    let world = world().await;
    world.allow(&["get"]).await;
    let path = "/api/v1/namespaces/shop/pods/web/exec?command=sh&container=app";
    assert_eq!(
        world.refused(path).await,
        (
            403,
            "pods \"web\" is forbidden: User \"system:anonymous\" cannot create resource \"pods/exec\" in API group \"\" \
             in the namespace \"shop\""
                .to_owned()
        )
    );
    assert_eq!(world.get("/api/v1/namespaces/shop/pods/web/log?container=app").await.0, 200);
}

#[tokio::test]
async fn a_kubelet_of_another_cluster_is_not_believed() {
    let (own, foreign) = (authority(), authority());
    let world = World::new(&own, kubelet(&foreign).await).await;
    let (code, message) = world.refused("/api/v1/namespaces/shop/pods/web/log?container=app").await;
    assert_eq!(code, 500);
    assert!(message.starts_with("error dialing backend: tls: failed to verify certificate"), "{message}");
}

#[tokio::test]
async fn nodes_are_reached_through_their_kubelet() {
    let world = world().await;
    let base = "/api/v1/nodes";
    assert_eq!(
        world.get(&format!("{base}/one/proxy/stats/summary?only=pods")).await,
        (200, "GET /stats/summary?only=pods".to_owned())
    );
    assert_eq!(world.get(&format!("{base}/one/proxy")).await.0, 301);
    assert_eq!(world.refused(&format!("{base}/three/proxy/")).await, (404, "nodes \"three\" not found".to_owned()));
}
