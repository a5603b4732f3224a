//! Durations as people read them.

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
}
