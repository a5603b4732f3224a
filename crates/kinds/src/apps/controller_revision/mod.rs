//! One remembered state of a DaemonSet or StatefulSet.

use api::{KindDef, Rules};
use k8s_openapi::api::apps::v1::ControllerRevision;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ControllerRevision>(&Rules::NONE);
