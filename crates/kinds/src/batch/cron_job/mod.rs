//! Jobs by the clock.

mod columns;
pub mod controller;
mod rules;
mod schedule;

use api::{KindDef, Rules};
use k8s_openapi::api::batch::v1::CronJob;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::namespaced::<CronJob>(&RULES).short(&["cj"]).in_all().with_status().with_generation();

const RULES: Rules<CronJob> =
    Rules { defaults: rules::defaults, prepare: rules::prepare, validate: rules::validate, columns: columns::COLUMNS };
