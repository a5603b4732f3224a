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
    nodes: Option<BTreeSet<String>>,
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
        if created().any(|step| !hosts(&step.object).is_empty()) {
            around.nodes = names(client, "/api/v1/nodes").await;
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
            for name in hosts(&step.object).into_iter().filter(|name| !nodes.contains(name)) {
                step.notes.push(format!("it wants node {name}, which is not here: its pods will wait"));
            }
        }
        if is_service(&step.key) {
            self.numbers(step, is_copy);
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

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn names(client: &Client, path: &str) -> Option<BTreeSet<String>> {
    let list = ask::get(client, path).await.ok()?;
    let items = list["items"].as_array()?.iter();
    Some(items.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned).collect())
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
