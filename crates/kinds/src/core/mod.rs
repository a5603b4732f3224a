//! The core group: what has no group in its `apiVersion`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

pub mod config_map;
pub mod endpoints;
pub mod event;
pub mod limit_range;
pub mod namespace;
pub mod node;
pub mod persistent_volume;
pub mod persistent_volume_claim;
pub mod pod;
pub mod pod_template;
pub mod replication_controller;
pub mod resource_quota;
pub mod secret;
pub mod service;
pub mod service_account;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::{ComponentCondition, ComponentStatus};
use serde_json::Value;

use crate::table::{name, string, text};

/// `ComponentStatus`.
pub const COMPONENT_STATUS: KindDef = {
    const RULES: Rules<ComponentStatus> = Rules {
        columns: &[
            name(),
            string("Status", |status, _| {
                Value::from(
                    healthy(status).map_or("Unknown", |one| if one.status == "True" { "Healthy" } else { "Unhealthy" }),
                )
            }),
            string("Message", |status, _| text(&healthy(status).and_then(|one| one.message.clone()))),
            string("Error", |status, _| text(&healthy(status).and_then(|one| one.error.clone()))),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).short(&["cs"])
};

/// The condition that says whether a component is well.
fn healthy(status: &ComponentStatus) -> Option<&ComponentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == "Healthy")
}
