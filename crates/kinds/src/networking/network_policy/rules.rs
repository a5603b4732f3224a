//! Which directions a policy is about, and who is meant by its peers.

use api::{FieldErrors, Path};
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::checks;
use crate::value::{default, default_text, each, object, put};

/// A policy is about what comes in, and about what goes out when it has rules for that.
pub fn defaults(policy: &mut Value) {
    let Some(spec) = object(policy, "spec") else { return };
    default(spec, "podSelector", json!({}));
    if spec["policyTypes"].as_array().is_none_or(Vec::is_empty) {
        let outgoing = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
        put(spec, "policyTypes", if outgoing { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    }
    for rules in ["ingress", "egress"] {
        for rule in each(spec, rules) {
            each(rule, "ports").for_each(|port| default_text(port, "protocol", "TCP"));
        }
    }
}

/// Reports everything that is wrong.
pub fn validate(policy: &NetworkPolicy, _: Option<&NetworkPolicy>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = policy.spec.clone().unwrap_or_default();
    let selector = spec.pod_selector.clone().unwrap_or_default();
    checks::selector(errors, &path.child("podSelector"), &selector);
    let incoming = spec.ingress.iter().flatten().map(|rule| (&rule.ports, &rule.from));
    let outgoing = spec.egress.iter().flatten().map(|rule| (&rule.ports, &rule.to));
    let rules = incoming
        .enumerate()
        .map(|(index, rule)| ("ingress", "from", index, rule))
        .chain(outgoing.enumerate().map(|(index, rule)| ("egress", "to", index, rule)));
    for (field, side, index, (ports, peers)) in rules {
        let path = path.child(field).index(index);
        for (index, one) in ports.iter().flatten().enumerate() {
            port(one, &path.child("ports").index(index), errors);
        }
        for (index, one) in peers.iter().flatten().enumerate() {
            peer(one, &path.child(side).index(index), errors);
        }
    }
    let types = spec.policy_types.as_deref().unwrap_or_default();
    if types.len() > 2 {
        errors.invalid(&path.child("policyTypes"), types, "may not specify more than two policyTypes");
        return;
    }
    for (index, kind) in types.iter().enumerate() {
        let path = path.child("policyTypes").index(index);
        checks::one_of(errors, &path, Some(kind), &["Egress", "Ingress"]);
    }
}

fn port(port: &NetworkPolicyPort, path: &Path, errors: &mut FieldErrors) {
    checks::maybe_one_of(errors, &path.child("protocol"), port.protocol.as_deref(), &["SCTP", "TCP", "UDP"]);
    if let Some(number) = &port.port {
        checks::port_or_name(errors, &path.child("port"), number);
    }
    let Some(end) = port.end_port else { return };
    match &port.port {
        None => errors.required(&path.child("port"), "must be specified when `endPort` is specified"),
        Some(IntOrString::Int(start)) if end < *start => {
            errors.invalid(&path.child("endPort"), end, "must be greater than or equal to `port`");
        }
        Some(IntOrString::Int(_)) => checks::port(errors, &path.child("endPort"), end),
        Some(IntOrString::String(_)) => {
            errors.invalid(&path.child("endPort"), end, "may not be specified when `port` is non-numeric");
        }
    }
}

fn peer(peer: &NetworkPolicyPeer, path: &Path, errors: &mut FieldErrors) {
    let selectors = [("podSelector", &peer.pod_selector), ("namespaceSelector", &peer.namespace_selector)];
    for (field, selector) in selectors {
        selector.iter().for_each(|selector| checks::selector(errors, &path.child(field), selector));
    }
    let selected = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    match &peer.ip_block {
        Some(_) if selected => {
            errors.forbidden(path, "may not specify both ipBlock and another peer");
        }
        Some(block) => ip_block(block, &path.child("ipBlock"), errors),
        None if !selected => errors.required(path, "must specify a peer"),
        None => {}
    }
}

fn ip_block(block: &IPBlock, path: &Path, errors: &mut FieldErrors) {
    if block.cidr.is_empty() {
        return errors.required(&path.child("cidr"), "");
    }
    checks::cidr(errors, &path.child("cidr"), &block.cidr);
    for (index, except) in block.except.iter().flatten().enumerate() {
        checks::cidr(errors, &path.child("except").index(index), except);
    }
}
