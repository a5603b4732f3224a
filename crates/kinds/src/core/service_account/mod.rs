//! The identity under which a pod talks to the API server.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::ServiceAccount;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ServiceAccount>(&Rules::NONE).short(&["sa"]);
