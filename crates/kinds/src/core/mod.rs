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
use k8s_openapi::api::core::v1::ComponentStatus;

/// `ComponentStatus`.
pub const COMPONENT_STATUS: KindDef = KindDef::cluster::<ComponentStatus>(&Rules::NONE).short(&["cs"]);
