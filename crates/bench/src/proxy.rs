//! A way to an API that notes what is asked there. Plain HTTP, on this machine only, as long as it is held.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Methods and paths, in the order in which they were asked.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// It ends when it is dropped.
pub(crate) struct Proxy {
    address: std::net::SocketAddr,
    seen: Seen,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(client: kube::Client) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Seen::default();
        let task = tokio::spawn(accept(listener, client, seen.clone()));
        Ok(Self { address, seen, task })
    }

    /// A kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "counted",
            "clusters": [{"name": "counted", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "counted", "user": {}}],
            "contexts": [{"name": "counted", "context": {"cluster": "counted", "user": "counted"}}],
        })
    }

    pub(crate) fn seen(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, client: kube::Client, seen: Seen) {
    // A set of tasks ends them when it is dropped.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (client, seen) = (client.clone(), seen.clone());
        let answer = service_fn(move |request| answer(client.clone(), seen.clone(), request));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

async fn answer(client: kube::Client, seen: Seen, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push((head.method.to_string(), path));
    head.headers.remove(http::header::HOST);
    let body = body.collect().await?.to_bytes();
    Ok(client.send(Request::from_parts(head, Body::from(body))).await?)
}
