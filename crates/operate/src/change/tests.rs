//! Plans, receipts and undoing, on files of this machine and on an API that is only pretended.

use std::path::Path;
use std::sync::{Arc, Mutex};

use doctor::finding::{Fix, Patch};
use doctor::{Evidence, Item, ItemKind, Origin};
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

fn config(path: &Path, text: &str) -> Evidence {
    std::fs::write(path, text).expect("the directory is there");
    let origin = Origin(path.display().to_string());
    Evidence::new(vec![Item { kind: ItemKind::ContainerdConfig, origin, text: text.to_owned() }])
}

/// A fix that deletes these words.
fn deleting(evidence: &Evidence, words: &str) -> Fix {
    let at = evidence.items()[0].text.find(words).expect("they are there");
    Fix::safe("delete").edit(0, at..at + words.len(), "")
}

#[tokio::test]
async fn files_are_changed_with_a_receipt_and_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let evidence = config(&file, "# kept\na = \" x\"\nb = \" y\"\n");
    let store = Store::at(directory.path().join("receipts"));
    let ground = Ground::here();
    let mut plan = Plan::default();
    plan.add(&evidence, &deleting(&evidence, " x"), &ground).await.unwrap();
    plan.add(&evidence, &deleting(&evidence, " x"), &ground).await.unwrap();
    plan.add(&evidence, &deleting(&evidence, " y"), &ground).await.unwrap();
    assert_eq!((plan.files.len(), plan.files[0].edits.len()), (1, 2), "the same edit once, one file for all");
    let mut told = Vec::new();
    let made = apply(&plan, vec!["SM0101".to_owned()], &ground, &store, |words| told.push(words.to_owned())).await;
    let receipt = made.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# kept\na = \"\"\nb = \"\"\n");
    assert_eq!(told, [format!("changed {}", file.display())]);

    let (found, mut read) = store.find(&receipt.id[..8]).unwrap();
    assert_eq!(read, receipt);
    let preview = undo(&mut read, &ground, &found, true).await.unwrap();
    assert!(matches!(preview.as_slice(), [Undone::PutBack(_)]) && !read.undone, "{preview:?}");
    undo(&mut read, &ground, &found, false).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# kept\na = \" x\"\nb = \" y\"\n");
    let again = undo(&mut read, &ground, &found, false).await.unwrap();
    assert!(matches!(again.as_slice(), [Undone::Already(_)]) && read.undone, "{again:?}");
    std::fs::write(&file, "somebody's own\n").unwrap();
    let left = undo(&mut read, &ground, &found, false).await.unwrap();
    assert!(matches!(left.as_slice(), [Undone::Left(_, ChangeError::FileChanged(_))]), "{left:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "somebody's own\n");
    assert!(matches!(store.find("2999"), Err(ChangeError::NoReceipt { .. })));
}

#[tokio::test]
async fn what_is_not_what_was_seen_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let evidence = config(&file, "a = \" x\"\n");
    let (ground, store) = (Ground::here(), Store::at(directory.path().join("receipts")));
    let mut plan = Plan::default();
    plan.add(&evidence, &deleting(&evidence, " x"), &ground).await.unwrap();
    std::fs::write(&file, "a = \" x\" # edited\n").unwrap();
    let mut late = Plan::default();
    let refused = late.add(&evidence, &deleting(&evidence, " x"), &ground).await.unwrap_err();
    assert!(matches!(refused, Refusal::Change(ChangeError::FileChanged(_))) && late.is_empty(), "{refused}");
    let (receipt, error) = apply(&plan, Vec::new(), &ground, &store, |_| {}).await.unwrap_err();
    assert!(matches!(error, ChangeError::FileChanged(_)) && receipt.is_some(), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a = \" x\" # edited\n");
}

#[tokio::test]
async fn a_secret_in_the_file_stays_and_is_not_edited() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let text = "password = \"hunter22\"\na = \" x\"\n";
    let evidence = doctor::redact::evidence(config(&file, text));
    assert!(!evidence.items()[0].text.contains("hunter22"));
    let ground = Ground::here();
    let mut plan = Plan::default();
    plan.add(&evidence, &deleting(&evidence, " x"), &ground).await.unwrap();
    assert_eq!(plan.files[0].new, "password = \"hunter22\"\na = \"\"\n");
    let refused = Plan::default().add(&evidence, &deleting(&evidence, "REDACTED"), &ground).await.unwrap_err();
    assert!(matches!(refused, Refusal::Secret(_)), "{refused}");
}

#[test]
fn a_receipt_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path().join("receipts"));
    let now = jiff::Zoned::now();
    let (first, second) = (store.begin(&now).unwrap(), store.begin(&now).unwrap());
    assert_ne!(first, second, "two in the same second");
    store.put(&first, "0.before", "secret").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store.directory(&first)), 0o700);
    assert_eq!(mode(&store.directory(&first).join("0.before")), 0o600);
}

#[test]
fn a_receipt_that_was_not_completed_tells_what_was_done() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let mut receipt = store.open().unwrap();
    let record = |name: &str| Record::Created {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: "a".to_owned(),
        name: name.to_owned(),
        uid: "u".to_owned(),
    };
    store.append(&mut receipt, record("one")).unwrap();
    store.append(&mut receipt, record("two")).unwrap();
    // The last line is cut off where the program ended.
    let journal = store.directory(&receipt.id).join("changes.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, format!("{text}{{\"type\":\"crea")).unwrap();
    let found = store.find(&receipt.id).unwrap().1;
    assert_eq!(found.changes, [record("one"), record("two")]);
    store.close(&receipt).unwrap();
    assert!(!journal.exists());
    assert_eq!(store.find(&receipt.id).unwrap().1, receipt);
}

/// An API with one Deployment.
fn api(deployment: &Arc<Mutex<Value>>) -> kube::Client {
    let deployment = Arc::clone(deployment);
    let service = tower::service_fn(move |request: Request<Body>| {
        let deployment = Arc::clone(&deployment);
        async move { Ok::<_, std::io::Error>(answer(&deployment, request).await) }
    });
    kube::Client::new(service, "default")
}

async fn answer(deployment: &Mutex<Value>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let reply = |code: u16, value: &Value| {
        let body = Body::from(value.to_string().into_bytes());
        Response::builder()
            .status(code)
            .header("content-type", "application/json")
            .body(body)
            .expect("it is well-formed")
    };
    if !head.uri.path().ends_with("/deployments/web") {
        let resource = json!({"name": "deployments", "singularName": "deployment", "namespaced": true, "kind": "Deployment", "verbs": ["get", "patch"]});
        return reply(200, &json!({"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [resource]}));
    }
    let patch = body.collect_bytes().await.expect("it is in memory");
    let mut object = deployment.lock().expect("nobody panicked");
    if head.method == Method::PATCH {
        let patch: Value = serde_json::from_slice(&patch).expect("patches are JSON");
        if patch["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "conflict", "reason": "Conflict", "code": 409});
            return reply(409, &status);
        }
        json_patch::merge(&mut object, &patch);
        object["metadata"]["resourceVersion"] = "8".into();
    }
    reply(200, &object)
}

#[tokio::test]
async fn objects_are_patched_at_the_revision_that_was_seen_and_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let original = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a", "resourceVersion": "7"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "c", "image": " x"}]}}},
    });
    let deployment = Arc::new(Mutex::new(original.clone()));
    let ground = Ground::here().with_client(api(&deployment));
    let store = Store::at(directory.path());
    let origin = Origin("kubectl get deployments -A -o json".to_owned());
    let evidence = Evidence::new(vec![Item { kind: ItemKind::Objects, origin, text: original.to_string() }]);
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "x"}]}}, "paused": true}});
    let fix = Fix::review("write the image without the blank").patch(Patch {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "a".to_owned(),
        name: "web".to_owned(),
        patch,
    });
    let mut plan = Plan::default();
    plan.add(&evidence, &fix, &ground).await.unwrap();
    let mut receipt = apply(&plan, Vec::new(), &ground, &store, |_| {}).await.unwrap();
    let now = deployment.lock().unwrap().clone();
    assert_eq!(
        (&now["spec"]["paused"], &now["spec"]["template"]["spec"]["containers"][0]["image"]),
        (&true.into(), &"x".into())
    );
    undo(&mut receipt, &ground, &store, false).await.unwrap();
    let mut back = deployment.lock().unwrap().clone();
    back["metadata"]["resourceVersion"] = "7".into();
    assert_eq!(back, original);

    // Somebody changed the same place: neither a fix nor undoing touches it.
    deployment.lock().unwrap()["spec"]["template"]["spec"]["containers"][0]["image"] = "other".into();
    let (_, error) = apply(&plan, Vec::new(), &ground, &store, |_| {}).await.unwrap_err();
    assert!(matches!(error, ChangeError::ObjectChanged(_)), "{error}");
    receipt.undone = false;
    let left = undo(&mut receipt, &ground, &store, false).await.unwrap();
    assert!(matches!(left.as_slice(), [Undone::Left(_, ChangeError::ObjectChanged(_))]), "{left:?}");
    let nowhere = apply(&plan, Vec::new(), &Ground::here(), &store, |_| {}).await.unwrap_err().1;
    assert!(matches!(nowhere, ChangeError::NoApi), "{nowhere}");
}
