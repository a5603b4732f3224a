//! Pods that run until enough of them have succeeded.

pub mod controller;
mod failures;
mod indexes;
mod status;
mod tally;
pub mod ttl;
mod verdict;
mod workers;

use api::{KindDef, Rules};
use k8s_openapi::api::batch::v1::Job;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::namespaced::<Job>(&Rules::NONE).in_all().with_status().with_generation().select_by(&["status.successful"]);
