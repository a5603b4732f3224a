//! The group `resource.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::resource::v1::{
    DeviceClass, DeviceTaintRule, ResourceClaim, ResourceClaimTemplate, ResourceSlice,
};
use serde_json::Value;

use crate::table::{age, name, string, text};

/// `DeviceClass`.
pub const DEVICE_CLASS: KindDef = {
    const RULES: Rules<DeviceClass> = Rules { columns: &[name(), age()], ..Rules::NONE };
    KindDef::cluster(&RULES).with_generation()
};

/// `DeviceTaintRule`.
pub const DEVICE_TAINT_RULE: KindDef =
    KindDef::cluster::<DeviceTaintRule>(&Rules::NONE).with_status().with_generation();

/// `ResourceClaim`.
pub const RESOURCE_CLAIM: KindDef = {
    const RULES: Rules<ResourceClaim> =
        Rules { columns: &[name(), string("State", |claim, _| Value::from(state(claim))), age()], ..Rules::NONE };
    KindDef::namespaced(&RULES).with_status()
};

/// `ResourceClaimTemplate`.
pub const RESOURCE_CLAIM_TEMPLATE: KindDef = {
    const RULES: Rules<ResourceClaimTemplate> = Rules { columns: &[name(), age()], ..Rules::NONE };
    KindDef::namespaced(&RULES)
};

/// `ResourceSlice`.
pub const RESOURCE_SLICE: KindDef = {
    const RULES: Rules<ResourceSlice> = Rules {
        columns: &[
            name(),
            string("Node", |slice, _| text(&slice.spec.node_name)),
            string("Driver", |slice, _| Value::from(slice.spec.driver.as_str())),
            string("Pool", |slice, _| Value::from(slice.spec.pool.name.as_str())),
            age(),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).with_generation().select_by(&["spec.nodeName", "spec.driver"])
};

fn state(claim: &ResourceClaim) -> String {
    let status = claim.status.clone().unwrap_or_default();
    let deleted = claim.metadata.deletion_timestamp.is_some();
    let mut states = Vec::new();
    if deleted {
        states.push("deleted");
    }
    if status.allocation.is_some() {
        states.push("allocated");
        if status.reserved_for.is_some_and(|users| !users.is_empty()) {
            states.push("reserved");
        }
    } else if !deleted {
        states.push("pending");
    }
    states.join(",")
}
