//! A part of the addresses behind a Service.

use api::{KindDef, Rules};
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<EndpointSlice>(&Rules::NONE).with_generation();
