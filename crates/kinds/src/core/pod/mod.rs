//! Containers that run together on one node.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Pod;

const SELECTABLE: &[&str] = &[
    "spec.nodeName",
    "status.phase",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.podIP",
    "status.nominatedNodeName",
];

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Pod>(&Rules::NONE)
    .short(&["po"])
    .in_all()
    .with_status()
    .with_generation()
    .select_by(SELECTABLE);
