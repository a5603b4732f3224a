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
        Some(time) => human_duration(row.now.as_second() - time.as_second()),
        None => UNKNOWN.to_owned(),
    }
}

/// A duration in seconds as Kubernetes shows it to people: the two largest units while they matter, `5d3h`.
pub fn human_duration(seconds: i64) -> String {
    const YEAR: i64 = 365 * 24;
    let two = |large: i64, unit: &str, small: i64, subunit: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{subunit}"),
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        // Clocks of machines differ a little: just ahead of now is now.
        ..-1 => return "<invalid>".to_owned(),
        -1 => return "0s".to_owned(),
        0..120 => return format!("{seconds}s"),
        _ => {}
    }
    match (minutes, hours) {
        (..10, _) => two(minutes, "m", seconds % 60, "s"),
        (..180, _) => format!("{minutes}m"),
        (_, ..8) => two(hours, "h", minutes % 60, "m"),
        (_, ..48) => format!("{hours}h"),
        (_, ..192) => two(hours / 24, "d", hours % 24, "h"),
        (_, hours) if hours < 2 * YEAR => format!("{}d", hours / 24),
        (_, hours) if hours < 8 * YEAR => two(hours / YEAR, "y", hours / 24 % 365, "d"),
        (_, hours) => format!("{}y", hours / YEAR),
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
    fn durations_read_as_kubernetes_prints_them() {
        const DAY: i64 = 86_400;
        let cases = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (179 * 60, "179m"),
            (180 * 60, "3h"),
            (3 * 3600 + 61, "3h1m"),
            (8 * 3600 + 600, "8h"),
            (47 * 3600, "47h"),
            (2 * DAY, "2d"),
            (5 * DAY + 3 * 3600, "5d3h"),
            (8 * DAY + 3600, "8d"),
            (729 * DAY, "729d"),
            (730 * DAY, "2y"),
            (800 * DAY, "2y70d"),
            (8 * 365 * DAY + DAY, "8y"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn long_lists_say_how_many_more_there_are() {
        let values = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(first_few(&values(0)), "<unset>");
        assert_eq!(first_few(&values(3)), "0,1,2");
        assert_eq!(first_few(&values(5)), "0,1,2 + 2 more...");
    }
}
