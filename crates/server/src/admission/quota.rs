//! ResourceQuota: how much a namespace may hold.
//!
//! What is used is counted from the view on each write, in turns (see [`super::turn`]), so it is never behind.
//! Deliberately absent: scopes other than BestEffort/NotBestEffort, and writing `status.used`, which a controller does.

use std::collections::BTreeMap;

use api::{GroupKind, Kind, Quantity, Status, View};
use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::Value;

use super::Admit;
use super::limits::{amount, pod_amount};

type Usage = BTreeMap<String, Quantity>;

/// Whether writes of this kind count against a quota of the namespace.
pub(super) fn applies(view: &View, kind: &Kind, namespace: &str) -> bool {
    kind.namespaced && view.list_in::<ResourceQuota>(namespace).next().is_some()
}

/// Refuses what goes beyond a quota.
pub(super) fn check(admit: &Admit<'_>, value: &Value) -> Result<(), Status> {
    if !admit.op.served.kind.namespaced {
        return Ok(());
    }
    for quota in admit.view.list_in::<ResourceQuota>(admit.op.namespace) {
        check_one(admit, value, quota)?;
    }
    Ok(())
}

fn check_one(admit: &Admit<'_>, value: &Value, quota: &ResourceQuota) -> Result<(), Status> {
    let Some(spec) = &quota.spec else { return Ok(()) };
    let kind = &admit.op.served.kind;
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    if !in_scopes(kind, value, scopes) {
        return Ok(());
    }
    let hard: BTreeMap<&str, Quantity> = spec
        .hard
        .iter()
        .flatten()
        .filter_map(|(name, text)| Some((name.as_str(), Quantity::parse(&text.0).ok()?)))
        .collect();
    let name = quota.metadata.name.as_deref().unwrap_or_default();
    let asked = usage(kind, value);
    must_specify(admit, value, &hard, name)?;
    let before = admit.old.map(|old| usage(kind, &old.value())).unwrap_or_default();
    let grown = asked.iter().filter(|(resource, amount)| {
        hard.contains_key(resource.as_str()) && **amount > before.get(*resource).copied().unwrap_or_default()
    });
    let grown: Vec<(&String, Quantity)> = grown.map(|(resource, amount)| (resource, *amount)).collect();
    if grown.is_empty() {
        return Ok(());
    }
    let used = used(admit, scopes);
    let over: Vec<&(&String, Quantity)> = grown
        .iter()
        .filter(|(resource, amount)| {
            let others =
                used.get(*resource).copied().unwrap_or_default() - before.get(*resource).copied().unwrap_or_default();
            others + *amount > hard[resource.as_str()]
        })
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    let shown = |amount: &dyn Fn(&str, Quantity) -> Quantity| {
        let texts: Vec<String> =
            over.iter().map(|(resource, asked)| format!("{resource}={}", amount(resource, *asked))).collect();
        texts.join(",")
    };
    Err(admit.forbidden(
        value,
        &format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            shown(&|resource, asked| asked - before.get(resource).copied().unwrap_or_default()),
            shown(&|resource, _| used.get(resource).copied().unwrap_or_default()),
            shown(&|resource, _| hard[resource]),
        ),
    ))
}

/// Where compute resources are bounded, every pod must say what it needs.
fn must_specify(admit: &Admit<'_>, value: &Value, hard: &BTreeMap<&str, Quantity>, quota: &str) -> Result<(), Status> {
    if !admit.is("", "Pod") || admit.old.is_some() {
        return Ok(());
    }
    let mut missing: Vec<String> = Vec::new();
    for resource in hard.keys() {
        let (field, plain) = match resource.split_once('.') {
            Some(("limits", plain)) => ("limits", plain),
            Some(("requests", plain)) => ("requests", plain),
            None if matches!(*resource, "cpu" | "memory") => ("requests", *resource),
            _ => continue,
        };
        if !matches!(plain, "cpu" | "memory") {
            continue;
        }
        let lists = ["initContainers", "containers"].into_iter();
        let containers = lists.flat_map(|list| value["spec"][list].as_array().into_iter().flatten());
        let without: Vec<&str> = containers
            .filter(|container| container["resources"][field][plain].is_null())
            .filter_map(|container| container["name"].as_str())
            .collect();
        if !without.is_empty() {
            missing.push(format!("{resource} for: {}", without.join(",")));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(admit.forbidden(value, &format!("failed quota: {quota}: must specify {}", missing.join("; "))))
}

fn in_scopes(kind: &Kind, value: &Value, scopes: &[String]) -> bool {
    if scopes.is_empty() {
        return true;
    }
    if kind.kind != "Pod" {
        return false;
    }
    let asks = |container: &Value| {
        ["requests", "limits"]
            .into_iter()
            .any(|field| container["resources"][field].as_object().is_some_and(|amounts| !amounts.is_empty()))
    };
    let best_effort = !value["spec"]["containers"].as_array().into_iter().flatten().any(asks);
    scopes.iter().all(|scope| match scope.as_str() {
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        _ => true,
    })
}

/// What the namespace holds of everything that one kind counts towards.
fn used(admit: &Admit<'_>, scopes: &[String]) -> Usage {
    let kind = &admit.op.served.kind;
    let Some(id) = admit.view.kind_id(GroupKind { group: kind.group, kind: kind.kind }) else { return Usage::new() };
    let mut total = Usage::new();
    for object in admit.view.objects_in(id, admit.op.namespace) {
        let value = object.value();
        if in_scopes(kind, &value, scopes) {
            for (resource, amount) in usage(kind, &value) {
                *total.entry(resource).or_default() += amount;
            }
        }
    }
    total
}

/// What one object counts as.
fn usage(kind: &Kind, value: &Value) -> Usage {
    let mut usage = Usage::new();
    let one = Quantity::units(1);
    usage.insert(format!("count/{}", kind.qualified()), one);
    match (kind.group, kind.kind) {
        ("", "Pod") => {
            if matches!(value["status"]["phase"].as_str(), Some("Failed" | "Succeeded")) {
                return usage;
            }
            usage.insert("pods".to_owned(), one);
            for resource in ["cpu", "memory", "ephemeral-storage"] {
                let requested = pod_amount(value, "requests", resource).unwrap_or_default();
                usage.insert(resource.to_owned(), requested);
                usage.insert(format!("requests.{resource}"), requested);
                usage.insert(format!("limits.{resource}"), pod_amount(value, "limits", resource).unwrap_or_default());
            }
        }
        ("", "Service") => {
            usage.insert("services".to_owned(), one);
            let ports = value["spec"]["ports"].as_array().map_or(0, Vec::len);
            let ports = Quantity::units(i64::try_from(ports).unwrap_or(i64::MAX));
            let kind = value["spec"]["type"].as_str().unwrap_or_default();
            if matches!(kind, "NodePort" | "LoadBalancer") {
                usage.insert("services.nodeports".to_owned(), ports);
            }
            if kind == "LoadBalancer" {
                usage.insert("services.loadbalancers".to_owned(), one);
            }
        }
        ("", "PersistentVolumeClaim") => {
            usage.insert("persistentvolumeclaims".to_owned(), one);
            let storage = amount(&value["spec"]["resources"]["requests"]["storage"]).unwrap_or_default();
            usage.insert("requests.storage".to_owned(), storage);
        }
        ("", "ConfigMap" | "Secret" | "ReplicationController" | "ResourceQuota") => {
            usage.insert(kind.plural.to_owned(), one);
        }
        _ => {}
    }
    usage
}
