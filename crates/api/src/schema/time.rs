//! Times as metav1.Time and metav1.MicroTime read and print them: RFC 3339, printed in UTC.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// A time with seconds, for example `2026-01-02T15:04:05Z`.
pub(super) fn seconds(text: &str) -> Result<String, String> {
    let time = parse(text, "2006-01-02T15:04:05Z07:00")?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A time with microseconds, for example `2026-01-02T15:04:05.000006Z`.
pub(super) fn microseconds(text: &str) -> Result<String, String> {
    let time = parse(text, "2006-01-02T15:04:05.000000Z07:00")?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
}

fn parse(text: &str, layout: &str) -> Result<Timestamp, String> {
    let mut cursor = Cursor { rest: text };
    read(&mut cursor).map_err(|problem| match problem {
        Problem::Expected(element) => {
            format!("parsing time {text:?} as {layout:?}: cannot parse {:?} as {element:?}", cursor.rest)
        }
        Problem::OutOfRange(what) => format!("parsing time {text:?}: {what} out of range"),
        Problem::Extra => format!("parsing time {text:?}: extra text: {:?}", cursor.rest),
    })
}

/// Why a text is no time; elements are named as in Go's layouts.
enum Problem {
    Expected(&'static str),
    OutOfRange(&'static str),
    Extra,
}

struct Cursor<'t> {
    rest: &'t str,
}

impl Cursor<'_> {
    fn literal(&mut self, expected: &'static str) -> Result<(), Problem> {
        self.rest = self.rest.strip_prefix(expected).ok_or(Problem::Expected(expected))?;
        Ok(())
    }

    fn number<const DIGITS: usize>(&mut self, element: &'static str) -> Result<i16, Problem> {
        let digits = self.rest.get(..DIGITS).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok()).ok_or(Problem::Expected(element))?;
        self.rest = &self.rest[DIGITS..];
        Ok(number)
    }

    /// Digits after a point, as nanoseconds; none is zero.
    fn fraction(&mut self) -> i32 {
        let Some(after) = self.rest.strip_prefix(['.', ',']) else { return 0 };
        let len = after.bytes().take_while(u8::is_ascii_digit).count();
        if len == 0 {
            return 0;
        }
        self.rest = &after[len..];
        format!("{:0<9.9}", &after[..len]).parse().unwrap_or(0)
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Result<i32, Problem> {
        const ELEMENT: &str = "Z07:00";
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let sign = match self.rest.as_bytes() {
            [b'+', ..] => 1,
            [b'-', ..] => -1,
            _ => return Err(Problem::Expected(ELEMENT)),
        };
        let mut inner = Cursor { rest: &self.rest[1..] };
        let read = (|| {
            let hours = inner.number::<2>(ELEMENT)?;
            inner.literal(":").map_err(|_| Problem::Expected(ELEMENT))?;
            Ok((hours, inner.number::<2>(ELEMENT)?))
        })();
        let (hours, minutes) = read?;
        self.rest = inner.rest;
        if hours > 24 || minutes > 60 {
            return Err(Problem::OutOfRange("time zone offset"));
        }
        Ok(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60))
    }
}

fn read(cursor: &mut Cursor<'_>) -> Result<Timestamp, Problem> {
    let year = cursor.number::<4>("2006")?;
    cursor.literal("-")?;
    let month = cursor.number::<2>("01")?;
    if !(1..=12).contains(&month) {
        return Err(Problem::OutOfRange("month"));
    }
    cursor.literal("-")?;
    let day = cursor.number::<2>("02")?;
    cursor.literal("T")?;
    let hour = cursor.number::<2>("15")?;
    if hour > 23 {
        return Err(Problem::OutOfRange("hour"));
    }
    cursor.literal(":")?;
    let minute = cursor.number::<2>("04")?;
    if minute > 59 {
        return Err(Problem::OutOfRange("minute"));
    }
    cursor.literal(":")?;
    let second = cursor.number::<2>("05")?;
    if second > 59 {
        return Err(Problem::OutOfRange("second"));
    }
    let nanosecond = cursor.fraction();
    let offset = cursor.offset()?;
    if !cursor.rest.is_empty() {
        return Err(Problem::Extra);
    }
    // Every part fits an i8: months to 12, days to 99, times to 59.
    let small = |number: i16| i8::try_from(number).unwrap_or(i8::MAX);
    let date = Date::new(year, small(month), small(day)).map_err(|_| Problem::OutOfRange("day"))?;
    let time =
        Time::new(small(hour), small(minute), small(second), nanosecond).map_err(|_| Problem::OutOfRange("second"))?;
    let offset = Offset::from_seconds(offset).map_err(|_| Problem::OutOfRange("time zone offset"))?;
    offset.to_timestamp(DateTime::from_parts(date, time)).map_err(|_| Problem::OutOfRange("year"))
}

#[cfg(test)]
mod tests {
    use super::{microseconds, seconds};

    #[test]
    fn times_are_printed_in_utc() {
        for (given, stored) in [
            ("2026-01-02T15:04:05Z", "2026-01-02T15:04:05Z"),
            ("2026-01-02T15:04:05+01:00", "2026-01-02T14:04:05Z"),
            ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z"),
            ("2026-01-02T15:04:05.999Z", "2026-01-02T15:04:05Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(seconds(given).unwrap(), stored, "{given}");
        }
        assert_eq!(microseconds("2026-01-02T15:04:05.000006Z").unwrap(), "2026-01-02T15:04:05.000006Z");
        assert_eq!(microseconds("2026-01-02T15:04:05Z").unwrap(), "2026-01-02T15:04:05.000000Z");
        assert_eq!(microseconds("2026-01-02T15:04:05.123456789Z").unwrap(), "2026-01-02T15:04:05.123456Z");
    }

    #[test]
    fn errors_name_what_is_wrong_as_go_does() {
        let layout = "2006-01-02T15:04:05Z07:00";
        for (given, rest, element) in [
            ("", "", "2006"),
            ("yesterday", "yesterday", "2006"),
            ("2026", "", "-"),
            ("2026-1-02T15:04:05Z", "1-02T15:04:05Z", "01"),
            ("2026-01-02 15:04:05Z", " 15:04:05Z", "T"),
            ("2026-01-02T15:04:05", "", "Z07:00"),
            ("2026-01-02T15:04:05é", "é", "Z07:00"),
            ("2026-01-02T15:04:05+é", "+é", "Z07:00"),
        ] {
            let expected = format!("parsing time {given:?} as {layout:?}: cannot parse {rest:?} as {element:?}");
            assert_eq!(seconds(given), Err(expected));
        }
        for (given, reason) in [
            ("2026-13-02T15:04:05Z", "month out of range"),
            ("2026-02-30T15:04:05Z", "day out of range"),
            ("2026-02-03T25:04:05Z", "hour out of range"),
            ("2026-02-03T15:60:05Z", "minute out of range"),
            ("2026-02-03T15:04:60Z", "second out of range"),
            ("2026-01-02T15:04:05Zx", "extra text: \"x\""),
        ] {
            assert_eq!(seconds(given), Err(format!("parsing time {given:?}: {reason}")));
        }
    }
}
