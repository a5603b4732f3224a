//! Scales a workload by what its pods use.

mod columns;
mod rules;
pub mod v1;

use api::{KindDef, Rules};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<HorizontalPodAutoscaler>(&RULES).short(&["hpa"]).in_all().with_status();

const RULES: Rules<HorizontalPodAutoscaler> =
    Rules { defaults: rules::defaults, prepare: rules::prepare, validate: rules::validate, columns: columns::COLUMNS };
