//! Keeps a number of equal pods.

pub mod controller;

use api::{KindDef, Rules, ScalePaths};
use k8s_openapi::api::apps::v1::ReplicaSet;

const SCALE: ScalePaths =
    ScalePaths { spec_replicas: "spec.replicas", status_replicas: "status.replicas", selector: "spec.selector" };

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ReplicaSet>(&Rules::NONE)
    .short(&["rs"])
    .in_all()
    .with_status()
    .with_scale(SCALE)
    .with_generation()
    .select_by(&["status.replicas"]);
