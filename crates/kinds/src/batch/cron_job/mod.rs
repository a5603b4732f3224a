//! Jobs by the clock.

use api::{KindDef, Rules};
use k8s_openapi::api::batch::v1::CronJob;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::namespaced::<CronJob>(&Rules::NONE).short(&["cj"]).in_all().with_status().with_generation();
