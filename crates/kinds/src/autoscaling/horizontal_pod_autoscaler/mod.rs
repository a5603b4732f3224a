//! Scales a workload by what its pods use.

pub mod v1;

use api::{KindDef, Rules};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::namespaced::<HorizontalPodAutoscaler>(&Rules::NONE).short(&["hpa"]).in_all().with_status();
