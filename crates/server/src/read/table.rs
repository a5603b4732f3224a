//! Server-side tables (`kubectl get`): heads and cells.

use api::kind::ColumnType;
use api::{Kind, Object, Row};
use jiff::Timestamp;
use serde_json::{Value, json};

/// `columnDefinitions` of a kind.
pub(super) fn heads(kind: &Kind) -> Value {
    let heads = kind.column_heads();
    if heads.is_empty() {
        return json!([
            {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
            {"name": "Age", "type": "string", "format": "", "description": "", "priority": 0},
        ]);
    }
    heads
        .iter()
        .map(|head| {
            json!({
                "name": head.name,
                "type": type_text(head.kind),
                "format": head.format,
                "description": "",
                "priority": head.priority,
            })
        })
        .collect()
}

fn type_text(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::String => "string",
        ColumnType::Integer => "integer",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
    }
}

/// Cells of one object.
pub(super) fn cells(kind: &Kind, object: &Object, row: Row) -> Vec<Value> {
    let cells = kind.cells(object, row);
    if !cells.is_empty() {
        return cells;
    }
    vec![json!(&*object.header.key.name), json!(age(object, row.now))]
}

/// How long an object exists, as kubectl shows it.
fn age(object: &Object, now: Timestamp) -> String {
    let created = object.value()["metadata"]["creationTimestamp"].as_str().and_then(|text| text.parse().ok());
    created.map_or_else(
        || "<unknown>".to_owned(),
        |created: Timestamp| api::human_duration(now.as_second() - created.as_second()),
    )
}
