//! What a restore meets in the cluster: names that are missing there, numbers that are taken. Told before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use serde_json::Value;

use super::mapping::Class;
use super::{Action, Step};
use crate::export::ask;
use crate::export::files::Key;

/// The label that carries a node's name.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// What is there. `None` where it may not be read: then nothing is said of it.
#[derive(Debug, Default)]
pub(super) struct Around {
    classes: BTreeMap<Class, Option<BTreeSet<String>>>,
    /// Nodes and their labels.
    nodes: Option<BTreeMap<String, Value>>,
    /// Volumes whose claim is gone: no other claim gets them.
    released: BTreeSet<String>,
    /// Who has which node port or cluster address.
    taken: BTreeMap<String, (String, String)>,
}

impl Around {
    /// Asks for what the steps are about.
    pub(super) async fn of(client: &Client, steps: &[Step]) -> Self {
        let mut around = Self::default();
        let created = || steps.iter().filter(|step| step.action == Action::Create);
        for class in Class::ALL {
            if created().any(|step| !strings(&step.object, class.field()).is_empty()) {
                around.classes.insert(class, names(client, class.objects().1).await);
            }
        }
        if created().any(|step| !hosts(&step.object).is_empty() || !selectors(&step.object).is_empty()) {
            around.nodes = items(client, "/api/v1/nodes").await.map(|nodes| {
                nodes.into_iter().map(|mut node| (name(&node), node["metadata"]["labels"].take())).collect()
            });
        }
        if created().any(|step| is_claim(&step.key)) {
            let volumes = items(client, "/api/v1/persistentvolumes").await.unwrap_or_default();
            let released = volumes.iter().filter(|volume| volume["status"]["phase"] == "Released");
            around.released = released.map(name).collect();
        }
        if created().any(|step| is_service(&step.key)) {
            around.taken = taken(client).await;
        }
        around
    }

    /// Gives a step up what is taken, where the object is a copy, and says what is missing. `made` are the keys of what
    /// the same restore makes.
    pub(super) fn meet(&self, step: &mut Step, made: &BTreeSet<Key>, is_copy: bool) {
        if step.action != Action::Create {
            return;
        }
        for (class, there) in &self.classes {
            let Some(there) = there else { continue };
            for name in strings(&step.object, class.field()) {
                let (kind, _) = class.objects();
                let comes = made.iter().any(|key| key.kind == kind && key.name == name);
                if !name.is_empty() && !there.contains(&name) && !comes {
                    step.notes.push(format!(
                        "there is no {kind} {name} here: make it, or use another with --class {}/{name}=NAME",
                        class.word()
                    ));
                }
            }
        }
        if let Some(nodes) = &self.nodes {
            for name in hosts(&step.object).into_iter().filter(|name| !nodes.contains_key(name)) {
                step.notes.push(format!("it wants node {name}, which is not here: its pods will wait"));
            }
            for (label, value) in selectors(&step.object) {
                if label != HOSTNAME && !nodes.values().any(|labels| labels[&label] == *value) {
                    step.notes
                        .push(format!("it wants a node with {label}={value}, and none has it: its pods will wait"));
                }
            }
        }
        if is_service(&step.key) {
            self.numbers(step, is_copy);
            if let Some(class) = step.object["spec"]["loadBalancerClass"].as_str() {
                step.notes.push(format!("nothing tells here whether a program serves load balancers of class {class}"));
            }
        }
        if is_claim(&step.key)
            && let Some(volume) =
                step.object["spec"]["volumeName"].as_str().filter(|name| self.released.contains(*name))
        {
            step.notes.push(format!(
                "volume {volume} is Released: it waits for a claim that is gone; take spec.claimRef off it, and this one \
                 gets its data"
            ));
        }
        if step.key.group == "batch" && step.key.kind == "Job" && step.object["spec"]["suspend"] != true {
            step.notes.push("it will run, also if it had run to its end before".to_owned());
        }
    }

    fn numbers(&self, step: &mut Step, is_copy: bool) {
        let mut notes = Vec::new();
        let mut taken = |what: String, value: &mut serde_json::Map<String, Value>, field: &str| {
            let number = value.get(field).map(shown).unwrap_or_default();
            let Some((namespace, name)) = self.taken.get(&number).filter(|_| number != "None") else { return };
            if is_copy {
                value.remove(field);
                notes.push(format!("{what} {number} is {namespace}/{name}'s: it gets another one"));
            } else {
                notes.push(format!("{what} {number} is {namespace}/{name}'s: delete one of the two from its file"));
            }
        };
        let Some(spec) = step.object.get_mut("spec").and_then(Value::as_object_mut) else { return };
        taken("cluster address".to_owned(), spec, "clusterIP");
        if !spec.contains_key("clusterIP") {
            spec.remove("clusterIPs");
        }
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                taken("node port".to_owned(), port, "nodePort");
            }
        }
        step.notes.append(&mut notes);
    }
}

fn is_service(key: &Key) -> bool {
    key.group.is_empty() && key.kind == "Service"
}

fn is_claim(key: &Key) -> bool {
    key.group.is_empty() && key.kind == "PersistentVolumeClaim"
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn names(client: &Client, path: &str) -> Option<BTreeSet<String>> {
    Some(items(client, path).await?.iter().map(name).collect())
}

/// The objects of a list; `None` if it may not be read.
async fn items(client: &Client, path: &str) -> Option<Vec<Value>> {
    match ask::get(client, path).await.ok()?["items"].take() {
        Value::Array(items) => Some(items),
        _ => Some(Vec::new()),
    }
}

async fn taken(client: &Client) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    let Ok(list) = ask::get(client, "/api/v1/services").await else { return found };
    for service in list["items"].as_array().into_iter().flatten() {
        let text = |name: &str| service["metadata"][name].as_str().unwrap_or_default().to_owned();
        let ports = service["spec"]["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
        let addresses = service["spec"]["clusterIPs"].as_array().into_iter().flatten();
        for value in ports.chain(addresses).filter(|value| !value.is_null()) {
            found.insert(shown(value), (text("namespace"), text("name")));
        }
    }
    found
}

/// All values of fields of this name.
fn strings(value: &Value, field: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    visit(value, &mut |name, value| {
        if name == field
            && let Some(text) = value.as_str()
        {
            found.insert(text.to_owned());
        }
    });
    found
}

/// Nodes that an object names: directly, by their label, or in an affinity that leaves no other choice.
fn hosts(object: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    visit(object, &mut |name, value| match name {
        "nodeName" => found.extend(value.as_str().map(str::to_owned)),
        "nodeSelector" => found.extend(value[HOSTNAME].as_str().map(str::to_owned)),
        "matchExpressions" => {
            for one in value.as_array().into_iter().flatten() {
                let values = one["values"].as_array().map(Vec::as_slice).unwrap_or_default();
                if let ([only], "In", HOSTNAME) =
                    (values, one["operator"].as_str().unwrap_or_default(), one["key"].as_str().unwrap_or_default())
                {
                    found.extend(only.as_str().map(str::to_owned));
                }
            }
        }
        _ => {}
    });
    found
}

/// Labels that the nodes of an object's pods must have.
fn selectors(object: &Value) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    visit(object, &mut |name, value| {
        if name == "nodeSelector" {
            let labels = value.as_object().into_iter().flatten();
            found.extend(labels.filter_map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned()))));
        }
    });
    found
}

fn visit(value: &Value, seen: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, seen)),
        Value::Object(fields) => {
            for (name, value) in fields {
                seen(name, value);
                visit(value, seen);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::export::restore::tests::step;

    fn notes(around: &Around, object: Value, is_copy: bool) -> Vec<String> {
        let mut step = step(object);
        around.meet(&mut step, &BTreeSet::new(), is_copy);
        step.notes
    }

    #[test]
    fn what_pods_wait_for_is_told() {
        let nodes = BTreeMap::from([("a".to_owned(), json!({"disk": "ssd", "kubernetes.io/hostname": "a"}))]);
        let around = Around { nodes: Some(nodes), ..Around::default() };
        let pod = |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
        assert_eq!(notes(&around, pod(json!({"nodeName": "a", "nodeSelector": {"disk": "ssd"}})), false), [""; 0]);
        let told = notes(&around, pod(json!({"nodeName": "b", "nodeSelector": {"disk": "tape"}})), false);
        assert!(told[0].contains("node b") && told[1].contains("disk=tape"), "{told:?}");
        let term = json!([{"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": ["c"]}]}]);
        let told = notes(&around, pod(json!({"affinity": {"nodeSelectorTerms": term}})), false);
        assert!(told[0].contains("node c"), "{told:?}");
    }

    #[test]
    fn numbers_that_others_have_are_told_and_given_up_by_copies() {
        let shop = ("shop".to_owned(), "web".to_owned());
        let taken = BTreeMap::from([("10.96.0.7".to_owned(), shop.clone()), ("30001".to_owned(), shop)]);
        let around = Around { taken, ..Around::default() };
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
            "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ports": [{"port": 80, "nodePort": 30001}]}});
        let told = notes(&around, service.clone(), false);
        assert!(told.len() == 2 && told.iter().all(|note| note.contains("shop/web's: delete")), "{told:?}");
        let mut copy = step(service);
        around.meet(&mut copy, &BTreeSet::new(), true);
        assert_eq!(copy.object["spec"], json!({"ports": [{"port": 80}]}));
    }

    #[test]
    fn a_volume_that_waits_for_another_claim_is_told() {
        let around = Around { released: BTreeSet::from(["v".to_owned()]), ..Around::default() };
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
            "spec": {"volumeName": "v"}});
        assert!(notes(&around, claim, false)[0].contains("volume v is Released"));
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {}});
        assert!(notes(&around, job, false)[0].contains("it will run"));
    }
}
