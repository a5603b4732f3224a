//! A tiny API server: objects in memory, watches, merge patches. It validates nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Long enough for a slow machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(90);

/// Resource, namespace, name.
type Key = (String, String, String);

#[derive(Default)]
struct Objects {
    revision: u64,
    objects: BTreeMap<Key, Value>,
    /// Revision, type, object.
    log: Vec<(u64, &'static str, Key, Value)>,
}

/// The server; clones are the same one.
#[derive(Clone)]
pub struct Api {
    objects: Arc<Mutex<Objects>>,
    revision: watch::Sender<u64>,
    pub address: SocketAddr,
}

type Body = BoxBody<Bytes, Infallible>;

impl Api {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Self { objects: Arc::default(), revision: watch::Sender::new(0), address };
        let serving = api.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let api = serving.clone();
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        api
    }

    /// Creates or replaces an object.
    pub fn put(&self, resource: &str, mut object: Value) -> Value {
        let meta = &mut object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (resource.to_owned(), text(&meta["namespace"]), text(&meta["name"]));
        let mut objects = self.objects.lock().unwrap();
        objects.revision += 1;
        let revision = objects.revision;
        if meta["uid"].is_null() {
            meta["uid"] = json!(format!("00000000-0000-0000-0000-{revision:012}"));
        }
        meta["resourceVersion"] = json!(revision.to_string());
        let kind = if objects.objects.insert(key.clone(), object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        objects.log.push((revision, kind, key, object.clone()));
        drop(objects);
        self.revision.send_replace(revision);
        object
    }

    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        self.objects.lock().unwrap().objects.get(&key).cloned()
    }

    pub fn list(&self, resource: &str) -> Vec<Value> {
        let objects = self.objects.lock().unwrap();
        objects.objects.iter().filter(|(key, _)| key.0 == resource).map(|(_, object)| object.clone()).collect()
    }

    pub fn remove(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        let mut objects = self.objects.lock().unwrap();
        let mut object = objects.objects.remove(&key)?;
        objects.revision += 1;
        let revision = objects.revision;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        objects.log.push((revision, "DELETED", key, object.clone()));
        drop(objects);
        self.revision.send_replace(revision);
        Some(object)
    }

    /// Asks for a pod's deletion, as kubectl does.
    pub fn delete_pod(&self, name: &str, grace: i64) {
        let mut pod = self.get("pods", "default", name).unwrap();
        pod["metadata"]["deletionTimestamp"] = json!(jiff::Timestamp::now().to_string());
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        self.put("pods", pod);
    }

    /// Waits until the pod is as wanted (`Null` when it is gone), and answers it.
    pub async fn pod(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut revision = self.revision.subscribe();
        let wait = async {
            loop {
                let pod = self.get("pods", "default", name).unwrap_or_default();
                if wanted(&pod) {
                    return pod;
                }
                revision.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| {
            let pod = self.get("pods", "default", name).unwrap_or_default();
            panic!("pod {name} did not become as wanted:\n{:#}\n{:#?}", pod["status"], self.events(name))
        })
    }

    /// Waits until the node has recorded such an event about the pod.
    pub async fn event(&self, pod: &str, reason: &str, message: &str) {
        let mut revision = self.revision.subscribe();
        let found = || self.events(pod).iter().any(|(found, text, _)| found == reason && text.contains(message));
        let wait = async {
            while !found() {
                revision.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("no event {reason}: {message}: {:#?}", self.events(pod)));
    }

    /// Reasons, messages and counts of the events about a pod.
    pub fn events(&self, pod: &str) -> Vec<(String, String, i64)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let about = |event: &Value| event["involvedObject"]["name"] == pod;
        let events = self.list("events").into_iter().filter(about);
        events
            .map(|event| (text(&event["reason"]), text(&event["message"]), event["count"].as_i64().unwrap()))
            .collect()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default();
        let segments: Vec<_> = parts.uri.path().trim_matches('/').split('/').collect();
        let rest = if segments[0] == "api" { &segments[2..] } else { &segments[3..] };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let at = |index: usize| rest.get(index).copied().unwrap_or_default();
        let (resource, name, sub) = (at(0), at(1), at(2));
        match (&parts.method, name, sub) {
            (&Method::GET, "", _) if query.contains("watch=") => self.watch(resource, query),
            (&Method::GET, "", _) => self.listed(resource, query),
            (&Method::GET, name, _) => found(self.get(resource, namespace, name)),
            (&Method::POST, _, "token") => found(Some(json!({
                "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": body["spec"],
                "status": {"token": "the-token", "expirationTimestamp": "2100-01-01T00:00:00Z"},
            }))),
            (&Method::POST, ..) => {
                let mut object = body;
                if !namespace.is_empty() {
                    object["metadata"]["namespace"] = json!(namespace);
                }
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                if self.get(resource, namespace, name).is_some() {
                    return status(409, "AlreadyExists");
                }
                found(Some(self.put(resource, object)))
            }
            (&Method::PATCH, name, _) => match self.get(resource, namespace, name) {
                None => status(404, "NotFound"),
                Some(mut object) => {
                    let uid = &body["metadata"]["uid"];
                    if !uid.is_null() && *uid != object["metadata"]["uid"] {
                        return status(409, "Conflict");
                    }
                    merge(&mut object, body);
                    found(Some(self.put(resource, object)))
                }
            },
            (&Method::DELETE, name, _) => found(self.remove(resource, namespace, name)),
            _ => status(405, "MethodNotAllowed"),
        }
    }

    fn listed(&self, resource: &str, query: &str) -> Response<Body> {
        let revision = self.objects.lock().unwrap().revision;
        let items: Vec<_> = self.list(resource).into_iter().filter(|object| selected(object, query)).collect();
        let list = json!({
            "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": revision.to_string()}, "items": items,
        });
        found(Some(list))
    }

    fn watch(&self, resource: &str, query: &str) -> Response<Body> {
        let after = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
        let after: u64 = after.and_then(|text| text.parse().ok()).unwrap_or(0);
        let (resource, query) = (resource.to_owned(), query.to_owned());
        let state = (self.clone(), self.revision.subscribe(), after);
        let lines = stream::unfold(state, move |(api, mut revision, after)| {
            let (resource, query) = (resource.clone(), query.clone());
            async move {
                loop {
                    let (newest, lines) = {
                        let objects = api.objects.lock().unwrap();
                        let news = objects.log.iter().filter(|(at, _, key, object)| {
                            *at > after && key.0 == resource && selected(object, &query)
                        });
                        let lines: String = news
                            .map(|(_, kind, _, object)| format!("{}\n", json!({"type": kind, "object": object})))
                            .collect();
                        (objects.revision, lines)
                    };
                    if !lines.is_empty() {
                        let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(lines)));
                        return Some((frame, (api, revision, newest)));
                    }
                    revision.changed().await.ok()?;
                }
            }
        });
        Response::builder()
            .header("content-type", "application/json")
            .body(BodyExt::boxed(StreamBody::new(lines.boxed_sync())))
            .unwrap()
    }
}

trait BoxedSync: StreamExt + Sized + Send + 'static {
    fn boxed_sync(self) -> SyncStream<Self::Item>
    where
        Self::Item: Send,
    {
        SyncStream(Mutex::new(self.boxed()))
    }
}

impl<S: StreamExt + Send + 'static> BoxedSync for S {}

/// A body must be `Sync`, which streams made of futures are not.
pub struct SyncStream<T>(Mutex<futures::stream::BoxStream<'static, T>>);

impl<T> futures::Stream for SyncStream<T> {
    type Item = T;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        ctx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.lock().unwrap().poll_next_unpin(ctx)
    }
}

fn selected(object: &Value, query: &str) -> bool {
    let query = query.replace("%3D", "=");
    match query.split_once("spec.nodeName=") {
        None => true,
        Some((_, rest)) => object["spec"]["nodeName"] == rest.split('&').next().unwrap_or_default(),
    }
}

fn merge(object: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *object = patch;
        return;
    };
    for (key, value) in patch {
        let old = &mut object[&key];
        match value {
            Value::Null => {
                object.as_object_mut().unwrap().remove(&key);
            }
            Value::Array(items) if key == "conditions" => {
                if !old.is_array() {
                    *old = json!([]);
                }
                let list = old.as_array_mut().unwrap();
                for item in items {
                    match list.iter_mut().find(|old| old["type"] == item["type"]) {
                        Some(old) => merge(old, item),
                        None => list.push(item),
                    }
                }
            }
            Value::Array(items) => {
                *old = items.into_iter().filter(|item| item.get("$patch").is_none()).collect();
            }
            value if value.is_object() && old.is_object() => merge(old, value),
            value => *old = value,
        }
    }
}

fn found(object: Option<Value>) -> Response<Body> {
    match object {
        None => status(404, "NotFound"),
        Some(object) => {
            let body = Full::new(Bytes::from(object.to_string())).map_err(|never| match never {});
            Response::builder().header("content-type", "application/json").body(BodyExt::boxed(body)).unwrap()
        }
    }
}

fn status(code: u16, reason: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code,
        "message": reason,
    });
    let mut answer = found(Some(status));
    *answer.status_mut() = hyper::StatusCode::from_u16(code).unwrap();
    answer
}
