//! A scope for names.
//!
//! `spec.finalizers` holds `kubernetes` until the namespace is empty; the controller takes it out.

pub mod controller;
mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Namespace;

use crate::table::{age, name, string, text};

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::cluster::<Namespace>(&RULES).short(&["ns"]).with_status().select_by(&["status.phase"]);

const RULES: Rules<Namespace> = Rules {
    defaults: rules::defaults,
    prepare: rules::prepare,
    validate: rules::validate,
    columns: &[
        name(),
        string("Status", |namespace, _| text(&namespace.status.as_ref().and_then(|status| status.phase.clone()))),
        age(),
    ],
};
