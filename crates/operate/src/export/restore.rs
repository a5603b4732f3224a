//! Brings objects back from files: planned first, in the order in which they need one another.
//!
//! What is there and differs is patched, field by field, and only while it is what the plan saw. Nothing is deleted. Who
//! restores again goes on where the last time ended, because only what differs is in a plan. The deciding parts
//! ([`decide`], [`rank`]) are pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use kube::Client;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::ask::{self, Refused};
use super::clean::{LAST_APPLIED, OMITTED, clean, hide};
use super::compare::{Comparison, Difference, Live, differences, merge_patch};
use super::files::{Export, Key};
use super::kinds::Kind;
use super::{Collected, ExportError, Object, Options, Secrets, collect};
use crate::change::{ChangeError, Receipt, Record, Store, touched};

/// As whom fields are managed.
const MANAGER: &str = "shipmate-restore";
/// How long a new kind may take until it is served.
const SERVED: Duration = Duration::from_secs(30);
/// How long a new namespace may take to get its service account. Pods need one; everything else goes on without.
const ACCOUNT: Duration = Duration::from_secs(10);
/// Requests under way at the same time.
const AT_ONCE: usize = 6;
/// How often a change is tried when somebody else writes the object at the same time.
const TRIES: u32 = 5;
/// How often is looked, where nothing can be watched yet.
const LOOK: Duration = Duration::from_millis(100);

/// What is to be done about an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It is not there.
    Create,
    /// It is there, and differs.
    Change {
        /// What leads from the cluster to the file.
        patch: Value,
        /// The same for people.
        differences: Vec<Difference>,
    },
    /// It is as the file says.
    Nothing,
    /// It can't be restored.
    Skip(&'static str),
}

/// One object of a plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which.
    pub key: Key,
    /// What is done about it.
    pub action: Action,
    /// Why the server would refuse that.
    pub refusal: Option<String>,
    object: Value,
    kind: Option<Kind>,
    /// Whether its kind comes with the same restore.
    new_kind: bool,
    /// Whether it is a secret whose values are not in the file.
    without_values: bool,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was created.
    Created,
    /// It was changed.
    Changed,
    /// Somebody else brought it to what the file says.
    Already,
}

/// Plans a restore, in the order in which things are done.
///
/// # Errors
/// When the API can't be asked, or two files are about the same object.
pub async fn plan(client: &Client, export: &Export) -> Result<Vec<Step>, ExportError> {
    let files = export.by_key()?;
    let (served, failed) = ask::discover(client).await?;
    if let Some(down) = failed.iter().find(|failed| files.keys().any(|key| key.group == failed.group)) {
        return Err(ExportError::Api { what: down.what.clone(), why: down.why.clone() });
    }
    let find = |kinds: &[Kind], key: &Key| {
        kinds.iter().find(|kind| (&kind.group, &kind.kind) == (&key.group, &key.kind)).cloned()
    };
    let names: BTreeSet<String> = files.keys().filter_map(|key| find(&served, key)).map(|kind| kind.shown()).collect();
    let mut live = BTreeMap::new();
    if !names.is_empty() {
        let kinds = names.into_iter().collect();
        let options = Options { kinds, all: true, secrets: Secrets::Plain, ..Options::default() };
        let index = collect(client, &options, |collected| {
            if let Collected::Object(Object { value, managed, .. }) = collected {
                live.insert(Key::of(&value), Live { value, managed });
            }
            Ok(())
        });
        if let Some(failed) = index.await?.failed.pop() {
            return Err(ExportError::Api { what: failed.what, why: failed.why });
        }
    }
    let new_kinds: Vec<Kind> = files.values().filter_map(|object| defined(object)).collect();
    let mut steps: Vec<Step> = files
        .into_iter()
        .map(|(key, file)| {
            let object = prepared(&key, file);
            let there = find(&served, &key);
            let new_kind = there.is_none();
            let kind = there.or_else(|| find(&new_kinds, &key));
            let action = match &kind {
                None => Action::Skip("the API serves no such kind, and no definition of it is in the files"),
                Some(_) => decide(&key, file, live.get(&key)),
            };
            let without_values = lacks_values(&key, file);
            Step { key, action, refusal: None, object, kind, new_kind, without_values }
        })
        .collect();
    steps.sort_by(|a, b| (rank(&a.key), &a.key).cmp(&(rank(&b.key), &b.key)));
    let settled = steps.into_iter().map(|step| settled(client, step, &live));
    Ok(stream::iter(settled.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await)
}

/// Lets the server say what a change comes to: what a file leaves to defaults is no difference.
async fn settled(client: &Client, mut step: Step, live: &BTreeMap<Key, Live>) -> Step {
    let (Action::Change { patch, .. }, Some(kind), Some(live)) = (&step.action, &step.kind, live.get(&step.key)) else {
        return step;
    };
    match foreseen(client, kind, &step.key, &step.object, patch).await {
        Ok(mut after) => {
            let mut there = live.value.clone();
            if step.without_values {
                for object in [&mut after, &mut there] {
                    hide(object, Secrets::Omit);
                }
            }
            let differences = differences(&step.key, &after, &there, &live.managed);
            step.action = match differences.is_empty() {
                true => Action::Nothing,
                false => Action::Change { patch: patch.clone(), differences },
            };
        }
        Err(no) => step.refusal = Some(no.why),
    }
    step
}

/// An object as it would be after a patch, clean: by the server's dry run.
async fn foreseen(client: &Client, kind: &Kind, key: &Key, object: &Value, patch: &Value) -> Result<Value, Refused> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let name = utf8_percent_encode(&key.name, NON_ALPHANUMERIC);
    let path = format!("{}/{name}", kind.path_in(version, key.namespace.as_deref()));
    let path = format!("{path}?dryRun=All&fieldManager={MANAGER}");
    let mut after = write(client, http::Method::PATCH, &path, "application/merge-patch+json", patch).await?;
    clean(&mut after, &mut BTreeSet::new());
    if key.is_secret() {
        hide(&mut after, Secrets::Plain);
    }
    Ok(after)
}

/// Takes out of a comparison what only the server's defaults make different. Where the server may not be asked, the
/// comparison stays as it is.
pub async fn settle(
    client: &Client,
    kinds: &BTreeMap<Key, Kind>,
    files: &BTreeMap<Key, &Value>,
    cluster: &BTreeMap<Key, Live>,
    comparison: &mut Comparison,
) {
    let asked = comparison.changed.iter().map(|changed| async move {
        let key = &changed.key;
        let (kind, file, live) = (kinds.get(key)?, files.get(key)?, cluster.get(key)?);
        if key.is_secret() {
            return None;
        }
        let patch = merge_patch(&live.value, file);
        let after = foreseen(client, kind, key, file, &patch).await.ok()?;
        Some(differences(key, &after, &live.value, &live.managed))
    });
    let asked: Vec<_> = asked.collect();
    let answers: Vec<Option<Vec<Difference>>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    for (changed, answer) in comparison.changed.iter_mut().zip(answers) {
        if let Some(differences) = answer {
            changed.differences = differences;
        }
    }
    comparison.changed.retain(|changed| !changed.differences.is_empty());
}

/// A file's object as it is sent: also of a raw export only what somebody meant. What is clean already is meant as it is.
fn prepared(key: &Key, file: &Value) -> Value {
    let mut object = file.clone();
    if !object["metadata"]["uid"].is_null() {
        clean(&mut object, &mut BTreeSet::new());
    }
    if key.is_secret()
        && let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(OMITTED);
    }
    object
}

/// Decides what is done about an object.
pub fn decide(key: &Key, file: &Value, live: Option<&Live>) -> Action {
    let without_values = lacks_values(key, file);
    let Some(live) = live else {
        return match without_values {
            true => Action::Skip("its values are not in the files: create it, or export with --secrets plain"),
            false => Action::Create,
        };
    };
    let (mut wanted, mut there) = (prepared(key, file), live.value.clone());
    if without_values {
        // Its values are whatever they are.
        hide(&mut there, Secrets::Omit);
        there = prepared(key, &there);
    }
    for object in [&mut wanted, &mut there] {
        drop_empty_annotations(object);
    }
    let differences = differences(key, &wanted, &there, &live.managed);
    if differences.is_empty() {
        return Action::Nothing;
    }
    Action::Change { patch: merge_patch(&there, &wanted), differences }
}

/// The object with kubectl's record of what was applied, where that is how the next export knows which of the values that
/// controllers may assign were chosen.
fn remembering(step: &Step) -> Value {
    let mut object = step.object.clone();
    if step.key.group.is_empty()
        && matches!(step.key.kind.as_str(), "Service" | "Pod")
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations[LAST_APPLIED] = step.object.to_string().into();
    }
    object
}

fn lacks_values(key: &Key, file: &Value) -> bool {
    key.is_secret() && !file["metadata"]["annotations"][OMITTED].is_null()
}

fn drop_empty_annotations(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if metadata.get("annotations").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
        metadata.remove("annotations");
    }
}

/// The kind that a definition in the files brings.
fn defined(object: &Value) -> Option<Kind> {
    if Key::of(object).kind != "CustomResourceDefinition" {
        return None;
    }
    let spec = &object["spec"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let served = spec["versions"].as_array()?.iter().find(|version| version["served"] == true)?;
    Some(Kind {
        group: text(&spec["group"])?,
        version: text(&served["name"])?,
        plural: text(&spec["names"]["plural"])?,
        singular: String::new(),
        short: Vec::new(),
        kind: text(&spec["names"]["kind"])?,
        namespaced: spec["scope"] == "Namespaced",
        creatable: true,
    })
}

/// What must be there before what: smaller ones first.
pub fn rank(key: &Key) -> u8 {
    match (key.group.as_str(), key.kind.as_str()) {
        ("apiextensions.k8s.io", _) => 0,
        ("", "Namespace") => 1,
        ("scheduling.k8s.io" | "storage.k8s.io" | "node.k8s.io", _) | ("networking.k8s.io", "IngressClass") => 2,
        ("", "PersistentVolume") => 3,
        ("", "ServiceAccount") => 4,
        ("", "ConfigMap" | "Secret") => 5,
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => 6,
        ("rbac.authorization.k8s.io", _) => 7,
        ("", "LimitRange" | "ResourceQuota") => 8,
        ("", "PersistentVolumeClaim") => 9,
        ("networking.k8s.io" | "policy", _) => 10,
        ("", "Service" | "Endpoints") | ("discovery.k8s.io", _) => 11,
        ("" | "apps" | "batch", _) => 12,
        ("autoscaling", _) => 13,
        // From here on each write would ask a program that may not run yet.
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 15,
        _ => 14,
    }
}

/// Does what a plan says, and writes a receipt of it. `told` hears of each step as it is done; a step that fails does not
/// keep the others from it. Changes of secrets are not in the receipt: it would hold their values.
///
/// # Errors
/// When the receipt can't be written; nothing is done after that.
pub async fn apply(
    client: &Client,
    steps: &[Step],
    store: &Store,
    mut told: impl FnMut(&Step, Result<Done, String>),
) -> Result<Receipt, ChangeError> {
    let mut receipt = store.open()?;
    let mut written = 0;
    for step in steps {
        let done = match &step.action {
            Action::Nothing | Action::Skip(_) => continue,
            Action::Create => create(client, step).await,
            Action::Change { patch, .. } => change(client, step, Some(patch)).await,
        };
        let done = done.map(|(done, record)| {
            receipt.changes.extend(record);
            done
        });
        told(step, done.map_err(|refused| refused.why));
        // A large receipt is not written anew for each object.
        if receipt.changes.len() - written > receipt.changes.len() / 20 {
            store.write(&receipt)?;
            written = receipt.changes.len();
        }
    }
    store.write(&receipt)?;
    Ok(receipt)
}

fn path(step: &Step) -> Result<String, Refused> {
    let kind = step.kind.as_ref().ok_or_else(|| refused("its kind is not served"))?;
    let version = step.object["apiVersion"].as_str().unwrap_or_default();
    Ok(kind.path_in(version, step.key.namespace.as_deref()))
}

fn named(step: &Step) -> Result<String, Refused> {
    Ok(format!("{}/{}", path(step)?, utf8_percent_encode(&step.key.name, NON_ALPHANUMERIC)))
}

fn refused(why: &str) -> Refused {
    Refused { code: 0, why: why.to_owned() }
}

async fn write(client: &Client, method: http::Method, path: &str, kind: &str, body: &Value) -> Result<Value, Refused> {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, kind)
        .header(http::header::ACCEPT, "application/json")
        .body(body.to_string().into_bytes());
    ask::send(client, request.map_err(|error| refused(&error.to_string()))?).await
}

async fn create(client: &Client, step: &Step) -> Result<(Done, Option<Record>), Refused> {
    let path = path(step)?;
    if step.new_kind {
        until(
            SERVED,
            async || !matches!(ask::get(client, &format!("{path}?limit=1")).await, Err(no) if no.code == 404),
        )
        .await;
    }
    let managed = format!("{path}?fieldManager={MANAGER}");
    let created = match write(client, http::Method::POST, &managed, "application/json", &remembering(step)).await {
        Ok(created) => created,
        // Controllers make some objects by themselves.
        Err(no) if no.code == 409 && no.why.contains("already exists") => return change(client, step, None).await,
        Err(no) => return Err(no),
    };
    if step.key.group.is_empty() && step.key.kind == "Namespace" {
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", step.key.name);
        until(ACCOUNT, async || ask::get(client, &account).await.is_ok()).await;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let record = Record::Created {
        api_version: text(&step.object["apiVersion"]),
        kind: step.key.kind.clone(),
        namespace: step.key.namespace.clone().unwrap_or_default(),
        name: step.key.name.clone(),
        uid: text(&created["metadata"]["uid"]),
    };
    Ok((Done::Created, Some(record)))
}

/// Looks until it is so, or the limit is over: then the next request says what is wrong.
async fn until(limit: Duration, mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + limit;
    while !so().await && Instant::now() < end {
        tokio::time::sleep(LOOK).await;
    }
}

/// Patches an object. Controllers that write its status come in between: then it is looked at once more.
async fn change(client: &Client, step: &Step, planned: Option<&Value>) -> Result<(Done, Option<Record>), Refused> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match change_once(client, step, planned).await {
            Err(no) if no.code == 409 && tries > 0 => {}
            done => return done,
        }
    }
}

/// Patches an object, if that is still the patch that was planned.
async fn change_once(client: &Client, step: &Step, planned: Option<&Value>) -> Result<(Done, Option<Record>), Refused> {
    let path = named(step)?;
    let live = ask::get(client, &path).await?;
    let mut value = live.clone();
    clean(&mut value, &mut BTreeSet::new());
    if step.key.is_secret() {
        hide(&mut value, Secrets::Plain);
    }
    if step.without_values {
        hide(&mut value, Secrets::Omit);
        value = prepared(&step.key, &value);
    }
    let there = Live { value, managed: Value::Null };
    let mut patch = match decide(&step.key, &step.object, Some(&there)) {
        Action::Change { patch, .. } => patch,
        _ => return Ok((Done::Already, None)),
    };
    if planned.is_some_and(|planned| *planned != patch) {
        return Err(refused("it was changed in the meantime: restore again"));
    }
    keep_node_ports(&mut patch, &live);
    let touches = patch.clone();
    if let Some(applied) = remembering(step).pointer_mut("/metadata/annotations").map(|all| all[LAST_APPLIED].take())
        && applied.is_string()
    {
        patch["metadata"]["annotations"][LAST_APPLIED] = applied;
    }
    patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    let managed = format!("{path}?fieldManager={MANAGER}");
    let patched = write(client, http::Method::PATCH, &managed, "application/merge-patch+json", &patch).await?;
    let record = Record::Object {
        api_version: step.object["apiVersion"].as_str().unwrap_or_default().to_owned(),
        kind: step.key.kind.clone(),
        namespace: step.key.namespace.clone().unwrap_or_default(),
        name: step.key.name.clone(),
        before: touched(&touches, &live),
        after: touched(&touches, &patched),
        done: true,
    };
    Ok((Done::Changed, Some(record).filter(|_| !step.key.is_secret())))
}

/// A list is replaced as a whole: ports that stay keep the node ports that they have.
fn keep_node_ports(patch: &mut Value, live: &Value) {
    let known = live["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let ports = patch.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter(|port| port["nodePort"].is_null()) {
        let same = known.iter().find(|known| known["port"] == port["port"] && known["protocol"] == port["protocol"]);
        if let Some(number) = same.map(|same| &same["nodePort"]).filter(|number| !number.is_null()) {
            port["nodePort"] = json!(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(value: Value) -> Live {
        Live { value, managed: Value::Null }
    }

    fn secret(metadata: Value, data: Value) -> Value {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"});
        if !data.is_null() {
            secret["data"] = data;
        }
        secret
    }

    #[test]
    fn what_needs_something_comes_after_it() {
        let order = [
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("", "Namespace"),
            ("storage.k8s.io", "StorageClass"),
            ("", "PersistentVolume"),
            ("", "ServiceAccount"),
            ("", "Secret"),
            ("rbac.authorization.k8s.io", "Role"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("", "PersistentVolumeClaim"),
            ("apps", "Deployment"),
            ("autoscaling", "HorizontalPodAutoscaler"),
            ("example.com", "Widget"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ];
        let ranks: Vec<u8> = order
            .iter()
            .map(|(group, kind)| {
                let (group, kind) = ((*group).to_owned(), (*kind).to_owned());
                rank(&Key { namespace: None, group, kind, name: String::new() })
            })
            .collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }

    #[test]
    fn only_what_differs_is_changed() {
        let map = |value: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"},
                "data": {"k": value}})
        };
        let key = Key::of(&map("1"));
        assert_eq!(decide(&key, &map("1"), None), Action::Create);
        assert_eq!(decide(&key, &map("1"), Some(&live(map("1")))), Action::Nothing);
        let Action::Change { patch, .. } = decide(&key, &map("1"), Some(&live(map("2")))) else {
            panic!("it differs");
        };
        assert_eq!(patch, json!({"data": {"k": "1"}}));
    }

    #[test]
    fn a_raw_file_is_cleaned_before_it_is_sent() {
        let raw = json!({"apiVersion": "v1", "kind": "ConfigMap", "status": {},
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "3"}});
        assert_eq!(
            prepared(&Key::of(&raw), &raw),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        );
        let chosen = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80, "nodePort": 30001}]}});
        assert_eq!(prepared(&Key::of(&chosen), &chosen), chosen, "what stands in a clean file was chosen");
    }

    #[test]
    fn a_secret_without_values_keeps_what_the_cluster_has() {
        let file = secret(json!({"name": "a", "annotations": {OMITTED: "password"}}), Value::Null);
        let key = Key::of(&file);
        assert!(matches!(decide(&key, &file, None), Action::Skip(_)));
        let there = secret(json!({"name": "a"}), json!({"password": "eA=="}));
        assert_eq!(decide(&key, &file, Some(&live(there))), Action::Nothing);
        let labelled = secret(json!({"name": "a", "labels": {"x": "y"}}), json!({"password": "eA=="}));
        let Action::Change { patch, .. } = decide(&key, &file, Some(&live(labelled))) else { panic!("it differs") };
        assert_eq!(patch, json!({"metadata": {"labels": null}}));
    }

    #[test]
    fn a_definition_brings_its_kind() {
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1alpha1", "served": false}, {"name": "v1", "served": true}]}});
        let kind = defined(&definition).unwrap();
        assert_eq!(kind.path(Some("shop")), "/apis/example.com/v1/namespaces/shop/widgets");
        assert_eq!(defined(&json!({"kind": "ConfigMap"})), None);
    }

    #[test]
    fn ports_that_stay_keep_their_node_ports() {
        let live = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30001}]}});
        let mut patch = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]}});
        keep_node_ports(&mut patch, &live);
        assert_eq!(patch["spec"]["ports"][0]["nodePort"], 30001);
        assert!(patch["spec"]["ports"][1].get("nodePort").is_none());
    }
}
