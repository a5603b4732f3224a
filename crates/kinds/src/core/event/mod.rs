//! What happened to an object, told to people.

pub mod events_v1;
mod rules;

use api::kind::ComputedField;
use api::{Column, KindDef, Row, Rules};
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::table::{since, string, text, wide};

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

const COMPUTED: &[ComputedField] = &[ComputedField { name: "source", path: "source.component", absent: "" }];

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Event>(&RULES).short(&["ev"]).select_by(SELECTABLE).computing(COMPUTED);

const RULES: Rules<Event> = Rules { defaults: |_| {}, prepare: |_, _| {}, validate: rules::validate, columns: COLUMNS };

const COLUMNS: &[Column<Event>] = &[
    string("Last Seen", |event, row| Value::from(last_seen(event, row))),
    string("Type", |event, _| text(&event.type_)),
    string("Reason", |event, _| text(&event.reason)),
    string("Object", |event, _| {
        let about = &event.involved_object;
        let kind = about.kind.as_deref().unwrap_or_default().to_lowercase();
        Value::from(match about.name.as_deref() {
            None | Some("") => kind,
            Some(name) => format!("{kind}/{name}"),
        })
    }),
    wide(string("Subobject", |event, _| text(&event.involved_object.field_path))),
    wide(string("Source", source)),
    string("Message", |event, _| Value::from(event.message.as_deref().unwrap_or_default().trim())),
    wide(string("First Seen", |event, row| Value::from(first_seen(event, row)))),
    wide(string("Count", |event, _| {
        let in_series = event.series.as_ref().map(|series| series.count.unwrap_or_default());
        Value::from(in_series.unwrap_or_else(|| event.count.filter(|count| *count != 0).unwrap_or(1)))
    })),
    wide(Column { format: "name", ..string("Name", |event: &Event, _| text(&event.metadata.name)) }),
];

fn first_seen(event: &Event, row: Row) -> String {
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    since(first.or_else(|| event.event_time.as_ref().map(|time| time.0)), row)
}

fn last_seen(event: &Event, row: Row) -> String {
    if let Some(series) = &event.series {
        return since(series.last_observed_time.as_ref().map(|time| time.0), row);
    }
    match &event.last_timestamp {
        Some(time) => since(Some(time.0), row),
        None => first_seen(event, row),
    }
}

fn source(event: &Event, _: Row) -> Value {
    let source = event.source.clone().unwrap_or_default();
    let first = |one: Option<String>, other: &Option<String>| {
        one.filter(|text| !text.is_empty()).or_else(|| other.clone()).unwrap_or_default()
    };
    let component = first(source.component, &event.reporting_component);
    let instance = first(source.host, &event.reporting_instance);
    Value::from(if instance.is_empty() { component } else { format!("{component}, {instance}") })
}
