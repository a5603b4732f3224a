//! Addresses behind a Service, in the form that came before EndpointSlices.

pub mod controller;
mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::{EndpointSubset, Endpoints};
use serde_json::Value;

use crate::table::{NONE, age, host_port, name, string};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Endpoints>(&RULES).short(&["ep"]);

const RULES: Rules<Endpoints> = Rules {
    defaults: rules::defaults,
    prepare: |_, _| {},
    validate: rules::validate,
    columns: &[
        name(),
        string("Endpoints", |endpoints, _| Value::from(shown(endpoints.subsets.as_deref().unwrap_or_default()))),
        age(),
    ],
};

/// The first few addresses with their ports, and how many more there are.
fn shown(subsets: &[EndpointSubset]) -> String {
    const SHOWN: usize = 3;
    if subsets.is_empty() {
        return NONE.to_owned();
    }
    let all: Vec<String> = subsets
        .iter()
        .flat_map(|subset| {
            let addresses = subset.addresses.as_deref().unwrap_or_default();
            match subset.ports.as_deref() {
                None | Some([]) => addresses.iter().map(|address| address.ip.clone()).collect::<Vec<_>>(),
                Some(ports) => ports
                    .iter()
                    .flat_map(|port| addresses.iter().map(|address| host_port(&address.ip, port.port)))
                    .collect(),
            }
        })
        .collect();
    match all.len() {
        0..=SHOWN => all.join(","),
        many => format!("{} + {} more...", all[..SHOWN].join(","), many - SHOWN),
    }
}
