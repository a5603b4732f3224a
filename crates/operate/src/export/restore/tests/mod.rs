//! Restores on an API that is only pretended, where things go wrong that a real one can't be made to do; and promises
//! about all objects.

mod pretend;
mod promises;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::change::{Record, Store};
use pretend::Pretended;

/// A step that creates an object.
pub(in crate::export) fn step(object: Value) -> Step {
    Step {
        key: Key::of(&object),
        action: Action::Create,
        refusal: None,
        notes: Vec::new(),
        turn: (0, 0),
        object,
        owners: Vec::new(),
        kind: None,
        new_kind: false,
        without_values: false,
    }
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": {"k": name}})
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
}

fn export(objects: impl IntoIterator<Item = Value>) -> Export {
    let mut export = Export::default();
    let objects = objects.into_iter().enumerate().map(|(number, object)| (PathBuf::from(number.to_string()), object));
    export.objects.extend(objects);
    export
}

async fn planned(api: &Pretended, export: &Export) -> Vec<Step> {
    plan(&api.client(), export.clone(), &Request::default(), |_| {}).await.unwrap()
}

/// Restores; what became of each.
async fn restored(api: &Pretended, export: &Export) -> BTreeMap<String, Result<Done, String>> {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let steps = planned(api, export).await;
    let (mut receipt, mut done) = (store.open().unwrap(), BTreeMap::new());
    let told = |step: &Step, result| drop(done.insert(step.key.to_string(), result));
    apply(&api.client(), &steps, &store, &mut receipt, told).await.unwrap();
    done
}

#[tokio::test]
async fn objects_of_a_new_kind_wait_until_it_is_served() {
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "served": true}]}});
    let widget =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}});
    let files = export([widget, definition, namespace()]);
    let api = Pretended::default();
    api.with(|state| state.unserved = 3);
    let done = restored(&api, &files).await;
    assert_eq!(done["shop/widget.example.com/w"], Ok(Done::Created), "{done:?}");
    let made = api.with(|state| state.made.clone());
    assert!(made[0].ends_with("/widgets.example.com") && made[2].ends_with("/widgets/w"), "{made:?}");
    assert!(planned(&api, &files).await.iter().all(|step| !step.is_work()), "it is all there");
}

#[tokio::test]
async fn what_was_owned_belongs_to_its_new_owner() {
    let owner = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "o", "namespace": "shop",
        "uid": "old"}});
    let reference = |controller: bool| json!([{"apiVersion": "v1", "kind": "ServiceAccount", "name": "o", "uid": "old", "controller": controller}]);
    let owned = |name: &str, controller: bool| {
        let mut object = map(name);
        object["metadata"]["uid"] = "old-too".into();
        object["metadata"]["ownerReferences"] = reference(controller);
        object
    };
    let api = Pretended::default();
    let done = restored(&api, &export([owned("a", false), owned("b", true), owner, namespace()])).await;
    assert_eq!(done["shop/configmap/a"], Ok(Done::Created), "{done:?}");
    assert!(!done.contains_key("shop/configmap/b"), "its controller makes it: {done:?}");
    let (account, map) =
        (api.object("/api/v1/namespaces/shop/serviceaccounts/o"), api.object("/api/v1/namespaces/shop/configmaps/a"));
    assert_ne!(account["metadata"]["uid"], "old");
    assert_eq!(map["metadata"]["ownerReferences"][0]["uid"], account["metadata"]["uid"], "{map:#}");
}

#[tokio::test]
async fn what_is_refused_does_not_keep_the_rest_from_it() {
    let api = Pretended::default();
    api.with(|state| state.refuse("POST", "/configmaps", "b", 403, "quota is used up"));
    let done = restored(&api, &export([map("a"), map("b"), map("c"), namespace()])).await;
    assert_eq!(done["shop/configmap/b"], Err("quota is used up".to_owned()));
    assert_eq!(done.values().filter(|done| **done == Ok(Done::Created)).count(), 3, "{done:?}");
}

#[tokio::test]
async fn who_may_not_list_may_look_at_each() {
    let api = Pretended::default();
    let files = export([map("a"), map("b"), namespace()]);
    restored(&api, &files).await;
    api.with(|state| state.refuse("GET", "/configmaps?", "", 403, "may not list"));
    assert!(planned(&api, &files).await.iter().all(|step| step.action == Action::Nothing));
    api.with(|state| state.refuse("GET", "/configmaps/b", "", 403, "may not look"));
    let steps = planned(&api, &files).await;
    let skipped: Vec<&Action> =
        steps.iter().map(|step| &step.action).filter(|action| **action != Action::Nothing).collect();
    assert_eq!(skipped, [&Action::Skip("may not look".to_owned())]);
}

#[tokio::test]
async fn a_group_that_does_not_answer_keeps_only_its_own_back() {
    let api = Pretended::default();
    api.with(|state| state.refuse("GET", "/apis/example.com/v1", "", 503, "unavailable"));
    api.with(|state| state.groups.push("example.com/v1".to_owned()));
    let widget =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}});
    let steps = planned(&api, &export([map("a"), namespace(), widget])).await;
    let of = |name: &str| &steps.iter().find(|step| step.key.name == name).unwrap().action;
    assert_eq!(*of("a"), Action::Create);
    assert_eq!(*of("w"), Action::Skip("example.com/v1 does not answer: unavailable".to_owned()));
}

#[tokio::test]
async fn an_object_that_somebody_else_changes_stays_and_it_is_said_who() {
    let api = Pretended::default();
    let files = export([map("a"), namespace()]);
    restored(&api, &files).await;
    let edit = |value: &str| {
        let managed = json!([{"manager": "kubectl-edit", "time": "2026-05-01T10:00:00Z"}]);
        let change = json!({"data": {"k": value}, "metadata": {"managedFields": managed}});
        api.with(|state| state.merge("/api/v1/namespaces/shop/configmaps/a", &change));
    };
    edit("other");
    let steps = planned(&api, &files).await;
    edit("another");
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let (mut receipt, mut said) = (store.open().unwrap(), Vec::new());
    apply(&api.client(), &steps, &store, &mut receipt, |_, done| said.push(done)).await.unwrap();
    let why = "it was changed in the meantime by kubectl-edit, 2026-05-01T10:00:00Z: restore again";
    assert_eq!(said, [Err(why.to_owned())]);
    assert_eq!(api.object("/api/v1/namespaces/shop/configmaps/a")["data"]["k"], "another");
    assert_eq!(restored(&api, &files).await["shop/configmap/a"], Ok(Done::Changed));
}

#[tokio::test]
async fn a_restore_that_was_cut_off_is_taken_up_and_its_receipt_tells_how_far_it_came() {
    let api = Pretended::default();
    let files = export((0..40).map(|number| map(&format!("m{number}"))).chain([namespace()]));
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let steps = planned(&api, &files).await;
    let mut receipt = store.open().unwrap();
    let id = receipt.id.clone();
    let (mut count, (stop, stopped)) = (0, tokio::sync::oneshot::channel());
    let mut stop = Some(stop);
    let client = api.client();
    let work = apply(&client, &steps, &store, &mut receipt, |_, _| {
        count += 1;
        if count == 10 {
            stop.take().unwrap().send(()).unwrap();
        }
    });
    tokio::select! {
        biased;
        _ = stopped => {}
        _ = work => panic!("it was to be cut off"),
    }
    let told = store.find(&id).unwrap().1.changes;
    assert!(told.len() >= 10 && told.iter().all(|record| matches!(record, Record::Created { .. })), "{told:?}");
    let left = planned(&api, &files).await.iter().filter(|step| step.is_work()).count();
    assert!((1..=31).contains(&left), "{left} are left");
    restored(&api, &files).await;
    assert!(planned(&api, &files).await.iter().all(|step| !step.is_work()));
    assert_eq!(api.with(|state| state.made.len()), 41, "nothing was made twice");
}
