//! An API that is only pretended: it keeps objects by their paths, serves a kind some time after its definition, and
//! refuses what it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

/// What is refused: a method, a part of the path, the object's name (any if empty), code and message.
struct Refusal(&'static str, &'static str, &'static str, u16, &'static str);

#[derive(Default)]
pub(super) struct State {
    objects: BTreeMap<String, Value>,
    revision: u64,
    /// Paths of what was created, in its order.
    pub(super) made: Vec<String>,
    /// How often a new kind is asked for until it is served.
    pub(super) unserved: usize,
    /// Groups that are listed besides its own.
    pub(super) groups: Vec<String>,
    refusals: Vec<Refusal>,
}

#[derive(Clone, Default)]
pub(super) struct Pretended(Arc<Mutex<State>>);

impl Pretended {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(super) fn object(&self, path: &str) -> Value {
        self.with(|state| state.objects[path].clone())
    }

    pub(super) fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let path = head.uri.path_and_query().unwrap().to_string();
                let (code, value) = api.with(|state| state.answer(head.method.as_str(), &path, body));
                let answer = Response::builder().status(code).header("content-type", "application/json");
                Ok::<_, std::io::Error>(answer.body(Body::from(value.to_string().into_bytes())).unwrap())
            }
        });
        kube::Client::new(service, "default")
    }
}

fn status(code: u16, message: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}))
}

fn resources(kinds: &[(&str, &str, bool)]) -> (u16, Value) {
    let one = |(name, kind, namespaced): &(&str, &str, bool)| json!({"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["list", "get", "create", "patch"]});
    (200, json!({"resources": kinds.iter().map(one).collect::<Vec<_>>()}))
}

impl State {
    pub(super) fn refuse(
        &mut self,
        method: &'static str,
        path: &'static str,
        name: &'static str,
        code: u16,
        why: &'static str,
    ) {
        self.refusals.push(Refusal(method, path, name, code, why));
    }

    /// Somebody else writes an object.
    pub(super) fn merge(&mut self, path: &str, change: &Value) {
        self.revision += 1;
        let object = self.objects.get_mut(path).unwrap();
        json_patch::merge(object, change);
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
    }

    fn answer(&mut self, method: &str, full: &str, body: Value) -> (u16, Value) {
        let path = full.split('?').next().unwrap();
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let refusal = self.refusals.iter().rev().find(|refusal| {
            method == refusal.0 && full.contains(refusal.1) && (refusal.2.is_empty() || refusal.2 == name)
        });
        if let Some(Refusal(.., code, why)) = refusal {
            return status(*code, why);
        }
        match (method, path) {
            ("GET", "/api/v1") => resources(&[
                ("namespaces", "Namespace", false),
                ("configmaps", "ConfigMap", true),
                ("serviceaccounts", "ServiceAccount", true),
            ]),
            ("GET", "/apis") => {
                let mut names = vec!["apiextensions.k8s.io/v1".to_owned()];
                names.extend(self.groups.clone());
                let groups = names.iter().map(|name| json!({"versions": [{"groupVersion": name}]}));
                (200, json!({"groups": groups.collect::<Vec<_>>()}))
            }
            ("GET", "/apis/apiextensions.k8s.io/v1") => {
                resources(&[("customresourcedefinitions", "CustomResourceDefinition", false)])
            }
            ("GET", "/apis/example.com/v1") => resources(&[("widgets", "Widget", true)]),
            ("GET", _) => self.read(path),
            ("POST", _) => self.create(&format!("{path}/{name}"), full.contains("dryRun"), body),
            _ => self.patch(path, full.contains("dryRun"), body),
        }
    }

    fn read(&mut self, path: &str) -> (u16, Value) {
        if let Some(object) = self.objects.get(path) {
            return (200, object.clone());
        }
        if path.contains("example.com") && self.unserved > 0 && path.ends_with("/widgets") {
            self.unserved -= 1;
            return status(404, "not found");
        }
        if path.split('/').count().is_multiple_of(2) || path.ends_with("/o") || path.ends_with("/default") {
            let last = path.rsplit('/').next().unwrap();
            if !last.ends_with('s') {
                return status(404, "not found");
            }
        }
        let collection = path.rsplit('/').next().unwrap();
        let below = |known: &str| {
            let parent = known.rsplit_once('/').unwrap().0;
            parent == path || (!path.contains("/namespaces/") && parent.ends_with(&format!("/{collection}")))
        };
        let items: Vec<&Value> =
            self.objects.iter().filter(|(known, _)| below(known)).map(|(_, object)| object).collect();
        (200, json!({"metadata": {}, "items": items}))
    }

    fn create(&mut self, path: &str, dry_run: bool, mut object: Value) -> (u16, Value) {
        if self.objects.contains_key(path) {
            return status(409, "it already exists");
        }
        if path.contains("example.com") && path.contains("/widgets/") && self.unserved > 0 {
            return status(404, "the server could not find the requested resource");
        }
        self.revision += 1;
        object["metadata"]["uid"] = format!("uid-{}", self.revision).into();
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        if !dry_run {
            self.made.push(path.to_owned());
            self.objects.insert(path.to_owned(), object.clone());
            if path == "/api/v1/namespaces/shop" {
                let account = json!({"metadata": {"name": "default", "namespace": "shop"}});
                self.objects.insert(format!("{path}/serviceaccounts/default"), account);
            }
            if path.ends_with("/widgets.example.com") {
                self.groups.push("example.com/v1".to_owned());
            }
        }
        (201, object)
    }

    fn patch(&mut self, path: &str, dry_run: bool, patch: Value) -> (u16, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else { return status(404, "not found") };
        let seen = &patch["metadata"]["resourceVersion"];
        if !seen.is_null() && *seen != object["metadata"]["resourceVersion"] {
            return status(409, "the object has been modified");
        }
        json_patch::merge(&mut object, &patch);
        if !dry_run {
            self.revision += 1;
            object["metadata"]["resourceVersion"] = self.revision.to_string().into();
            self.objects.insert(path.to_owned(), object.clone());
        }
        (200, object)
    }
}
