//! Containers that run together on one node.
//!
//! A pod's spec is decided when it is made; afterwards only images, tolerations, the deadline and scheduling gates
//! may change. What subresources change (the node by `binding`, ephemeral containers) passes these rules by.
//! Not here: what depends on other objects (priority, service account, limit ranges) — that is admission.

pub mod columns;
pub mod defaults;
pub mod qos;
mod rules;
pub mod spec;
mod update;

use api::kind::ComputedField;
use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Pod;

const SELECTABLE: &[&str] = &[
    "spec.nodeName",
    "status.phase",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.podIP",
    "status.nominatedNodeName",
];

const COMPUTED: &[ComputedField] =
    &[ComputedField { name: "spec.hostNetwork", path: "spec.hostNetwork", absent: "false" }];

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Pod>(&RULES)
    .short(&["po"])
    .in_all()
    .with_status()
    .with_generation()
    .select_by(SELECTABLE)
    .computing(COMPUTED);

const RULES: Rules<Pod> =
    Rules { defaults: defaults::pod, prepare: rules::prepare, validate: rules::validate, columns: columns::COLUMNS };
