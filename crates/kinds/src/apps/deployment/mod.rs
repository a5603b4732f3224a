//! Equal pods, rolled from one template to the next.

mod columns;
pub mod controller;
mod revision;
mod rollout;
mod rules;
mod scaling;
mod sets;
mod status;
mod strategy;

use api::{KindDef, Rules, ScalePaths};
use k8s_openapi::api::apps::v1::Deployment;

const SCALE: ScalePaths =
    ScalePaths { spec_replicas: "spec.replicas", status_replicas: "status.replicas", selector: "spec.selector" };

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Deployment>(&RULES)
    .short(&["deploy"])
    .in_all()
    .with_status()
    .with_scale(SCALE)
    .with_generation();

const RULES: Rules<Deployment> =
    Rules { defaults: rules::defaults, prepare: rules::prepare, validate: rules::validate, columns: columns::COLUMNS };
