//! Keeps a number of equal pods.

mod columns;
pub mod controller;
mod rules;

use api::kind::ComputedField;
use api::{KindDef, Rules, ScalePaths};
use k8s_openapi::api::apps::v1::ReplicaSet;

const SCALE: ScalePaths =
    ScalePaths { spec_replicas: "spec.replicas", status_replicas: "status.replicas", selector: "spec.selector" };

const COMPUTED: &[ComputedField] = &[ComputedField { name: "status.replicas", path: "status.replicas", absent: "0" }];

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ReplicaSet>(&RULES)
    .short(&["rs"])
    .in_all()
    .with_status()
    .with_scale(SCALE)
    .with_generation()
    .select_by(&["status.replicas"])
    .computing(COMPUTED);

const RULES: Rules<ReplicaSet> =
    Rules { defaults: rules::defaults, prepare: rules::prepare, validate: rules::validate, columns: columns::COLUMNS };
