//! One stable address for a changing set of pods.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Service;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Service>(&Rules::NONE)
    .short(&["svc"])
    .in_all()
    .with_status()
    .select_by(&["spec.clusterIP", "spec.type"]);
