//! What happened to an object, told to people.

pub mod events_v1;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Event;

const SELECTABLE: &[&str] = &[
    "involvedObject.uid",
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Event>(&Rules::NONE).short(&["ev"]).select_by(SELECTABLE);
