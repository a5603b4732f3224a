//! Pods that run until enough of them have succeeded.

mod columns;
pub mod controller;
mod failures;
mod indexes;
mod rules;
mod status;
mod tally;
pub mod ttl;
mod verdict;
mod workers;

pub use rules::validate_spec;

use api::kind::ComputedField;
use api::{KindDef, Rules};
use k8s_openapi::api::batch::v1::Job;

const COMPUTED: &[ComputedField] =
    &[ComputedField { name: "status.successful", path: "status.succeeded", absent: "0" }];

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Job>(&RULES)
    .in_all()
    .with_status()
    .with_generation()
    .select_by(&["status.successful"])
    .computing(COMPUTED);

const RULES: Rules<Job> =
    Rules { defaults: rules::defaults, prepare: rules::prepare, validate: rules::validate, columns: columns::COLUMNS };
