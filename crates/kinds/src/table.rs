//! What columns of many kinds are made of: the column constructors, ages, and how lists and selectors print.
//!
//! The server sends every column with every row (`-o wide` only changes what kubectl shows), as kube-apiserver does.

use std::collections::BTreeMap;

use api::{Column, ColumnType, Row};
use jiff::Timestamp;
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

/// What stands for nothing.
pub const NONE: &str = "<none>";
/// What stands for a field that is not set.
pub const UNSET: &str = "<unset>";
/// What stands for something that is not known.
pub const UNKNOWN: &str = "<unknown>";

/// The column that names the object.
pub const fn name<K: Metadata<Ty = ObjectMeta>>() -> Column<K> {
    Column {
        name: "Name",
        kind: ColumnType::String,
        format: "name",
        priority: 0,
        cell: |object, _| text(&object.metadata().name),
    }
}

/// The time since the object was made.
pub const fn age<K: Metadata<Ty = ObjectMeta>>() -> Column<K> {
    string("Age", |object, row| Value::from(since(created(object), row)))
}

/// The time at which the object was made, as kinds without an own table print it.
pub const fn created_at<K: Metadata<Ty = ObjectMeta>>() -> Column<K> {
    Column {
        name: "Created At",
        kind: ColumnType::Date,
        format: "",
        priority: 0,
        cell: |object, _| created(object).map_or(Value::Null, |time| Value::from(time.to_string())),
    }
}

/// A column of text.
pub const fn string<K>(name: &'static str, cell: fn(&K, Row) -> Value) -> Column<K> {
    Column { name, kind: ColumnType::String, format: "", priority: 0, cell }
}

/// A column of whole numbers.
pub const fn integer<K>(name: &'static str, cell: fn(&K, Row) -> Value) -> Column<K> {
    Column { name, kind: ColumnType::Integer, format: "", priority: 0, cell }
}

/// A column of `true` and `false`.
pub const fn boolean<K>(name: &'static str, cell: fn(&K, Row) -> Value) -> Column<K> {
    Column { name, kind: ColumnType::Boolean, format: "", priority: 0, cell }
}

/// Shows a column with `-o wide` only.
pub const fn wide<K>(mut column: Column<K>) -> Column<K> {
    column.priority = 1;
    column
}

fn created<K: Metadata<Ty = ObjectMeta>>(object: &K) -> Option<Timestamp> {
    object.metadata().creation_timestamp.as_ref().map(|time| time.0)
}

/// A cell of optional text; empty when there is none.
pub fn text(value: &Option<String>) -> Value {
    Value::from(value.as_deref().unwrap_or_default())
}

/// A cell of text, or what stands for its absence; empty text counts as absent.
pub fn text_or(value: &Option<String>, absent: &str) -> Value {
    Value::from(value.as_deref().filter(|text| !text.is_empty()).unwrap_or(absent))
}

/// A cell of a list with commas, or what stands for an empty one.
pub fn list_or(values: &Option<Vec<String>>, absent: &str) -> Value {
    match values.as_deref() {
        Some([]) | None => Value::from(absent),
        Some(values) => Value::from(values.join(",")),
    }
}

/// The age of `time` at the time of the row.
pub fn since(time: Option<Timestamp>, row: Row) -> String {
    match time {
        Some(time) => api::human_duration(row.now.as_second() - time.as_second()),
        None => UNKNOWN.to_owned(),
    }
}

/// Labels as `a=b,c=d`, sorted; `<none>` when there are none.
pub fn labels(labels: Option<&BTreeMap<String, String>>) -> String {
    let pairs: Vec<String> = labels.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { NONE.to_owned() } else { pairs.join(",") }
}

/// A label selector in the notation of queries; `<none>` when there is none or it selects everything.
pub fn selector(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else { return NONE.to_owned() };
    match api::LabelSelector::from_object(selector) {
        Ok(parsed) if parsed.is_everything() => NONE.to_owned(),
        Ok(parsed) => parsed.to_string(),
        Err(_) => "<error>".to_owned(),
    }
}

/// The first few values with commas, and how many more there are; `<unset>` when there are none.
pub fn first_few(values: &[String]) -> String {
    const SHOWN: usize = 3;
    match values {
        [] => UNSET.to_owned(),
        few if few.len() <= SHOWN => few.join(","),
        many => format!("{} + {} more...", many[..SHOWN].join(","), many.len() - SHOWN),
    }
}

/// Host and port with IPv6 addresses in brackets.
pub fn host_port(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_say_how_many_more_there_are() {
        let values = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(first_few(&values(0)), "<unset>");
        assert_eq!(first_few(&values(3)), "0,1,2");
        assert_eq!(first_few(&values(5)), "0,1,2 + 2 more...");
    }
}
