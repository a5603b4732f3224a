//! The group `flowcontrol.apiserver.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};

/// `FlowSchema`.
pub const FLOW_SCHEMA: KindDef = KindDef::cluster::<FlowSchema>(&Rules::NONE).with_status().with_generation();

/// `PriorityLevelConfiguration`.
pub const PRIORITY_LEVEL_CONFIGURATION: KindDef =
    KindDef::cluster::<PriorityLevelConfiguration>(&Rules::NONE).with_status().with_generation();
