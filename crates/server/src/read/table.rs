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
    created.map_or_else(|| "<unknown>".to_owned(), |created: Timestamp| short(now.as_second() - created.as_second()))
}

/// A duration in seconds with two digits of precision at most: `5d`, `3h12m`, `118s`.
fn short(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let cases = [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3600, "60m"),
            (10_800, "3h"),
            (11_520, "3h12m"),
            (90_000, "25h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (63_158_400, "2y1d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(short(seconds), text);
        }
    }
}
