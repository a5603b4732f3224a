//! Cron's notation: minute, hour, day of month, month, day of week; or a name like `@hourly`.

/// A field: what it is called, its bounds, and the names of its values.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of month", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of week", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const NAMED: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Says why a text is no schedule.
///
/// # Errors
/// When it is none.
pub fn check(schedule: &str) -> Result<(), String> {
    if let Some(interval) = schedule.strip_prefix("@every ") {
        let seconds = interval.strip_suffix(['h', 'm', 's']).unwrap_or_default();
        let good = !seconds.is_empty() && seconds.bytes().all(|c| c.is_ascii_digit() || b"hms.".contains(&c));
        return if good { Ok(()) } else { Err(format!("failed to parse duration {schedule}")) };
    }
    if schedule.starts_with('@') {
        let known = NAMED.contains(&schedule);
        return if known { Ok(()) } else { Err(format!("unrecognized descriptor: {schedule}")) };
    }
    let fields: Vec<&str> = schedule.split_whitespace().filter(|field| !field.contains("TZ=")).collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    for (text, field) in fields.into_iter().zip(FIELDS) {
        text.split(',').try_for_each(|part| check_part(part, field))?;
    }
    Ok(())
}

/// One part of a list: `*`, `5`, `1-5`, each with `/2`.
fn check_part(part: &str, (what, low, high, names): (&str, u32, u32, &[&str])) -> Result<(), String> {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    if let Some(step) = step {
        let number: u32 = step.parse().map_err(|_| format!("failed to parse int from {step}"))?;
        if number == 0 {
            return Err(format!("step of range should be a positive number: {part}"));
        }
    }
    if range == "*" || range == "?" {
        return Ok(());
    }
    let number = |text: &str| -> Result<u32, String> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|index| u32::try_from(index).ok()).map(|index| index + low);
        named.map_or_else(|| text.parse().map_err(|_| format!("failed to parse int from {text}")), Ok)
    };
    let (start, end) = match range.split_once('-') {
        Some((start, end)) => (number(start)?, number(end)?),
        None => (number(range)?, number(range)?),
    };
    match () {
        () if start < low => Err(format!("beginning of range ({start}) below minimum ({low}): {part}")),
        () if end > high => Err(format!("end of range ({end}) above maximum ({high}): {part}")),
        () if start > end => Err(format!("beginning of range ({start}) beyond end of range ({end}) of {what}: {part}")),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn schedules_are_told_from_other_text() {
        for good in ["* * * * *", "*/5 0-6 1,15 jan-MAR Sun", "0 0 31 12 6", "@hourly", "@every 1h30m"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* * 0 * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "@never",
            "@every x",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
