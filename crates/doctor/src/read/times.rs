//! Points in time as programs print them: `date`, `stat`, systemd, openssl, RFC 3339, HTTP.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use regex::{Captures, Regex};

/// A point in time as it was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Date and time of day where the program ran.
    pub local: DateTime,
    /// Seconds east of UTC, if the text tells.
    pub offset: Option<i64>,
}

impl When {
    /// Seconds since 1970 in UTC; a time without a zone counts as UTC.
    pub fn seconds(&self) -> i64 {
        let days = i64::from(days(self.local));
        let time = self.local.time();
        let clock = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        days * 86_400 + clock - self.offset.unwrap_or(0)
    }

    /// Seconds from another time to this one. Where one has no zone, both count as of the same zone.
    pub fn after(&self, other: &When) -> i64 {
        if self.offset.is_some() && other.offset.is_some() {
            return self.seconds() - other.seconds();
        }
        let bare = |when: &When| When { offset: None, ..*when }.seconds();
        bare(self) - bare(other)
    }
}

/// Days since 1970.
fn days(local: DateTime) -> i32 {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.until(local.date()).map_or(0, |span| span.get_days())
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

static ISO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)[T ](?P<c>\d\d:\d\d:\d\d)(?:[.,]\d+)?\s?(?P<z>Z|[+-]\d\d:?\d\d|[A-Z]{3,5}\b)?",
    )
    .ok()
});
/// `Mon Dec 19 10:52:37 UTC 2022`, `Dec 19 10:52:37 2022 GMT`.
static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?P<m>[A-Z][a-z]{2}) +(?P<d>\d{1,2}) (?P<c>\d\d?:\d\d:\d\d)(?: (?P<h>[AP]M))?(?: (?P<z>[A-Z]{3,5}|[+-]\d\d(?:\d\d)?))? (?P<y>\d{4})(?: (?P<z2>[A-Z]{3,5}))?",
    )
    .ok()
});
/// `Mon, 19 Dec 2022 10:52:37 +0000`, `Mon 19 Dec 2022 10:52:37 AM UTC`.
static MAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?P<d>\d{1,2}) (?P<m>[A-Z][a-z]{2}) (?P<y>\d{4}) (?P<c>\d\d?:\d\d:\d\d)(?: (?P<h>[AP]M))?(?: (?P<z>[A-Z]{3,5}|[+-]\d{4}))?",
    )
    .ok()
});

/// The first point in time of a text.
pub fn first(text: &str) -> Option<When> {
    let found = [&ISO, &DATE, &MAIL].into_iter().filter_map(|form| {
        let captures = (*form).as_ref()?.captures(text)?;
        Some((captures.get(0)?.start(), when(&captures)?))
    });
    found.min_by_key(|(start, _)| *start).map(|(_, when)| when)
}

fn when(captures: &Captures<'_>) -> Option<When> {
    let part = |name: &str| captures.name(name).map(|found| found.as_str());
    let month = part("m")?;
    let month = match month.parse::<i8>() {
        Ok(number) => number,
        Err(_) => {
            let name = month.to_lowercase();
            i8::try_from(MONTHS.iter().position(|known| *known == name)? + 1).ok()?
        }
    };
    let mut clock = part("c")?.split(':').map(str::parse::<i8>);
    let (mut hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    match part("h") {
        Some("PM") if hour < 12 => hour += 12,
        Some("AM") if hour == 12 => hour = 0,
        _ => {}
    }
    let (year, day) = (part("y")?.parse().ok()?, part("d")?.parse().ok()?);
    let local = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let offset = part("z").or_else(|| part("z2")).and_then(zone);
    Some(When { local, offset })
}

/// Seconds east of UTC of a zone's name or offset.
fn zone(name: &str) -> Option<i64> {
    let hours = match name {
        "Z" | "UTC" | "GMT" | "WET" => 0,
        "CET" | "WEST" | "BST" => 1,
        "CEST" | "EET" | "SAST" => 2,
        "EEST" | "MSK" => 3,
        "JST" | "KST" => 9,
        "EST" => -5,
        "EDT" => -4,
        "PST" => -8,
        "PDT" => -7,
        _ => {
            let sign = match name.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let digits: String = name[1..].chars().filter(char::is_ascii_digit).collect();
            let number = |range: std::ops::Range<usize>| digits.get(range).and_then(|two| two.parse::<i64>().ok());
            return Some(sign * (number(0..2)? * 3600 + number(2..4).unwrap_or(0) * 60));
        }
    };
    Some(hours * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_in_many_forms() {
        let same = [
            "2022-12-19T10:42:32Z",
            "ActiveEnterTimestamp=Mon 2022-12-19 10:42:32 UTC",
            "2022-12-19 11:42:32.123456789 +0100 /etc/x",
            "Mon Dec 19 10:42:32 UTC 2022",
            "notAfter=Dec 19 10:42:32 2022 GMT",
            "Mon, 19 Dec 2022 10:42:32 +0000",
            "Mon 19 Dec 2022 10:42:32 AM UTC",
            "Mon Dec 19 11:42:32 CET 2022",
        ];
        for text in same {
            assert_eq!(first(text).unwrap().seconds(), 1_671_446_552, "{text}");
        }
        assert_eq!(first("no time"), None);
        assert_eq!(first("2022-13-45 10:42:32"), None);
        let (zoned, bare) = (first("2022-12-19 10:42:40 XYZT").unwrap(), first(same[2]).unwrap());
        assert_eq!(zoned.after(&bare), -3592);
    }
}
