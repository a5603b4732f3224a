//! Keeps a number of equal pods: the form that came before ReplicaSets.

pub mod controller;

use api::{KindDef, Rules, ScalePaths};
use k8s_openapi::api::core::v1::ReplicationController;

const SCALE: ScalePaths =
    ScalePaths { spec_replicas: "spec.replicas", status_replicas: "status.replicas", selector: "spec.selector" };

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ReplicationController>(&Rules::NONE)
    .short(&["rc"])
    .in_all()
    .with_status()
    .with_scale(SCALE)
    .with_generation()
    .select_by(&["status.replicas"]);
