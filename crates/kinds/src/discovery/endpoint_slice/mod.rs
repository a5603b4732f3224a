//! A part of the addresses behind a Service.

pub mod controller;
mod rules;
mod slices;

use api::{KindDef, Rules};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::Value;

use crate::table::{age, first_few, name, string};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<EndpointSlice>(&RULES).with_generation();

const RULES: Rules<EndpointSlice> = Rules {
    defaults: rules::defaults,
    prepare: |_, _| {},
    validate: rules::validate,
    columns: &[
        name(),
        string("AddressType", |slice, _| Value::from(slice.address_type.as_str())),
        string("Ports", |slice, _| {
            let ports = slice.ports.iter().flatten();
            let shown = ports.map(|port| match (port.port, &port.name) {
                (Some(number), _) => number.to_string(),
                (None, Some(name)) => name.clone(),
                (None, None) => "*".to_owned(),
            });
            Value::from(first_few(&shown.collect::<Vec<_>>()))
        }),
        string("Endpoints", |slice, _| {
            let addresses = slice.endpoints.iter().flatten().flat_map(|endpoint| endpoint.addresses.clone());
            Value::from(first_few(&addresses.collect::<Vec<_>>()))
        }),
        age(),
    ],
};
