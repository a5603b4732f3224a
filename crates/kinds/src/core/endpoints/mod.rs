//! Addresses behind a Service, in the form that came before EndpointSlices.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Endpoints;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Endpoints>(&Rules::NONE).short(&["ep"]);
