//! Numbered pods, each with its own name and storage.

mod columns;
pub mod controller;
mod identity;
mod rules;
mod slots;
mod status;

use api::{KindDef, Rules, ScalePaths};
use k8s_openapi::api::apps::v1::StatefulSet;

const SCALE: ScalePaths =
    ScalePaths { spec_replicas: "spec.replicas", status_replicas: "status.replicas", selector: "spec.selector" };

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<StatefulSet>(&RULES)
    .short(&["sts"])
    .in_all()
    .with_status()
    .with_scale(SCALE)
    .with_generation();

const RULES: Rules<StatefulSet> =
    Rules { defaults: rules::defaults, prepare: rules::prepare, validate: rules::validate, columns: columns::COLUMNS };
