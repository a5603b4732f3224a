//! One pod on every node that fits.

mod columns;
pub mod controller;
mod placing;
mod rules;
mod status;
mod update;

use api::{KindDef, Rules};
use k8s_openapi::api::apps::v1::DaemonSet;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::namespaced::<DaemonSet>(&RULES).short(&["ds"]).in_all().with_status().with_generation();

const RULES: Rules<DaemonSet> =
    Rules { defaults: rules::defaults, prepare: rules::prepare, validate: rules::validate, columns: columns::COLUMNS };
