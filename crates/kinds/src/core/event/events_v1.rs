//! `events.k8s.io/v1`: the same events under newer field names.

use api::GroupKind;
use api::kind::Alias;
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::value::{put, rename};

/// Stored name and served name of each field that is called differently.
const NAMES: &[(&str, &str)] = &[
    ("message", "note"),
    ("involvedObject", "regarding"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// `events.k8s.io/v1` Event, kept as a core Event.
pub const ALIAS: Alias = Alias {
    group: "events.k8s.io",
    version: "v1",
    stored: GroupKind::of::<Event>(),
    serve: |value| {
        NAMES.iter().for_each(|(stored, served)| rename(value, stored, served));
        put(value, "apiVersion", Value::from("events.k8s.io/v1"));
    },
    store: |value| {
        NAMES.iter().for_each(|(stored, served)| rename(value, served, stored));
        put(value, "apiVersion", Value::from("v1"));
    },
};
