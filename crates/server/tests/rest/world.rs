//! A server over a store in memory, and a client that needs no socket.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use server::auth::Peer;
use server::http::Outgoing;
use server::{Config, Server, User};
use store::Store;

/// How long anything may take that ought to happen at once.
const SOON: Duration = Duration::from_secs(10);

pub struct World {
    pub server: Arc<Server>,
    peer: Peer,
}

/// An answer.
pub struct Answer {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl World {
    /// A server with what every cluster starts with, and a default service account; the client may do everything.
    pub async fn new() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        Self::over(Store::in_memory(Arc::new(kinds::catalogue())).unwrap(), config).await
    }

    pub async fn over(store: Arc<Store>, config: Config) -> Self {
        let server = Server::new(store, Arc::clone(kinds::schema::all()), config).unwrap();
        server.bootstrap().await.unwrap();
        let world = Self::of(server, User::new("admin", ["system:masters", "system:authenticated"]));
        let account = json!({"metadata": {"name": "default"}});
        let answer = world.call("POST /api/v1/namespaces/default/serviceaccounts", account).await;
        assert!(matches!(answer.code, 201 | 409), "{}", answer.text());
        world
    }

    fn of(server: Arc<Server>, user: User) -> Self {
        let peer = Peer {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            certificates: Vec::new(),
            user: OnceLock::from(Some(user)),
        };
        Self { server, peer }
    }

    /// The same server for another user.
    pub fn as_user(&self, user: User) -> Self {
        Self::of(Arc::clone(&self.server), user)
    }

    /// Sends `METHOD PATH` with headers and a body, and does not read the answer's body.
    pub async fn open(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Outgoing> {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
        self.server.handle(request.body(body).unwrap(), &self.peer).await
    }

    /// Sends a request and reads the answer.
    pub async fn send(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let (parts, body) = self.open(line, headers, body).await.into_parts();
        let body = tokio::time::timeout(SOON, body.collect()).await.expect("the answer ends").unwrap().to_bytes();
        Answer { code: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends JSON, or nothing for null. Patches are told by the method: `MERGE`, `JSON`, `STRATEGIC`.
    pub async fn call(&self, line: &str, body: Value) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let (method, kind) = match method {
            "MERGE" => ("PATCH", "application/merge-patch+json"),
            "JSON" => ("PATCH", "application/json-patch+json"),
            "STRATEGIC" => ("PATCH", "application/strategic-merge-patch+json"),
            method => (method, "application/json"),
        };
        let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        self.send(&format!("{method} {path}"), &[(CONTENT_TYPE.as_str(), kind)], bytes).await
    }

    /// Sends JSON; the answer must be a success.
    pub async fn ok(&self, line: &str, body: Value) -> Value {
        let answer = self.call(line, body).await;
        assert!(answer.code < 300, "{line}: {} {}", answer.code, answer.text());
        answer.json()
    }

    /// Sends JSON; the answer must be a Status with this code, and this in its message.
    pub async fn refused(&self, line: &str, body: Value, code: u16, message: &str) -> Value {
        let answer = self.call(line, body).await;
        let status = answer.json();
        assert_eq!(answer.code, code, "{line}: {}", answer.text());
        assert_eq!(status["kind"], "Status", "{line}: {}", answer.text());
        assert_eq!(status["code"], code, "{line}: {}", answer.text());
        let said = status["message"].as_str().unwrap_or_default();
        assert!(said.contains(message), "{line}: {said:?} lacks {message:?}");
        status
    }

    /// Asks for something in a form.
    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(&format!("GET {path}"), &[(ACCEPT.as_str(), accept)], Bytes::new()).await
    }

    /// Starts a watch.
    pub async fn watch(&self, path: &str) -> Watch {
        self.watch_as(path, "application/json").await
    }

    /// Starts a watch in a form.
    pub async fn watch_as(&self, path: &str, accept: &str) -> Watch {
        let response = self.open(&format!("GET {path}"), &[(ACCEPT.as_str(), accept)], Bytes::new()).await;
        assert_eq!(response.status(), 200);
        Watch { body: response.into_body(), rest: Vec::new(), patience: SOON }
    }

    /// Creates a ConfigMap in `default`.
    pub async fn config_map(&self, name: &str) -> Value {
        self.ok("POST /api/v1/namespaces/default/configmaps", json!({"metadata": {"name": name}})).await
    }

    /// Creates a pod in `default`.
    pub async fn pod(&self, name: &str) -> Value {
        self.ok("POST /api/v1/namespaces/default/pods", pod(name)).await
    }
}

/// Settings of a server that is reached at an address for documentation (RFC 5737).
pub fn config() -> Config {
    Config::new(SocketAddr::from(([192, 0, 2, 1], 6443)))
}

/// A small pod.
pub fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "registry.example/c:1"}]},
    })
}

/// A running watch.
pub struct Watch {
    body: Outgoing,
    rest: Vec<u8>,
    /// How long to wait for an event.
    pub patience: Duration,
}

impl Watch {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(self.patience, self.body.frame()).await.expect("an event comes");
            self.rest.extend_from_slice(&frame?.unwrap().into_data().unwrap());
        }
    }

    /// The next event as `TYPE NAME`.
    pub async fn brief(&mut self) -> String {
        let event = self.next().await.expect("the watch goes on");
        let kind = event["type"].as_str().unwrap().to_owned();
        match event["object"]["metadata"]["name"].as_str() {
            Some(name) => format!("{kind} {name}"),
            None => kind,
        }
    }
}
