//! What a node offers, and what of it is decided once.

use std::collections::BTreeSet;

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::{Node, NodeSpec};
use serde_json::{Value, json};

use crate::checks;
use crate::core::pod::{defaults::quantities, spec::resources, spec::tolerations};
use crate::value::{at, default, put};

/// What is not said to be reserved can be used. `podCIDR` is the first of `podCIDRs`.
pub fn defaults(node: &mut Value) {
    if let Some(spec) = at(node, "spec") {
        let (one, first) = (spec["podCIDR"].clone(), spec["podCIDRs"][0].clone());
        if one.is_string() && first != one {
            put(spec, "podCIDRs", json!([one]));
        } else if first.is_string() {
            put(spec, "podCIDR", first);
        }
    }
    let Some(status) = at(node, "status") else { return };
    quantities(status, "capacity");
    if let Some(capacity) = at(status, "capacity").map(|capacity| capacity.clone()) {
        default(status, "allocatable", capacity);
    }
    quantities(status, "allocatable");
}

/// Reports everything that is wrong.
pub fn validate(node: &Node, old: Option<&Node>, errors: &mut FieldErrors) {
    let absent = NodeSpec::default();
    let spec = node.spec.as_ref().unwrap_or(&absent);
    let taints = spec.taints.as_deref().unwrap_or_default();
    tolerations::taints(taints, &Path::new("metadata").child("taints"), errors);
    let cidrs = spec.pod_cidrs.as_deref().unwrap_or_default();
    let cidrs_path = Path::new("spec").child("podCIDRs");
    for (index, block) in cidrs.iter().enumerate() {
        checks::cidr(errors, &cidrs_path.index(index), block);
    }
    if cidrs.len() > 2 {
        errors.invalid(&cidrs_path, cidrs, "may specify no more than one CIDR for each IP family");
    }
    let status = node.status.clone().unwrap_or_default();
    for (field, amounts) in [("capacity", &status.capacity), ("allocatable", &status.allocatable)] {
        for (name, amount) in amounts.iter().flatten() {
            resources::amount(name, amount, &Path::new("status").child(field).child(name), errors);
        }
    }
    let Some(old) = old else { return };
    let mut seen = BTreeSet::new();
    for (index, address) in status.addresses.iter().flatten().enumerate() {
        if !seen.insert((&address.type_, &address.address)) {
            errors.duplicate(&Path::new("status").child("addresses").index(index), checks::json(address));
        }
    }
    let before = old.spec.as_ref().unwrap_or(&absent);
    let cidrs_before = before.pod_cidrs.as_deref().unwrap_or_default();
    if !cidrs_before.is_empty() && cidrs_before != cidrs {
        errors.forbidden(&cidrs_path, "node updates may not change podCIDR except from \"\" to valid");
    }
    let provider = before.provider_id.as_deref().unwrap_or_default();
    if !provider.is_empty() && before.provider_id != spec.provider_id {
        let path = Path::new("spec").child("providerID");
        errors.forbidden(&path, "node updates may not change providerID except from \"\" to valid");
    }
}
