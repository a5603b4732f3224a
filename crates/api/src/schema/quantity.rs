//! The canonical form of a quantity: what the API server stores for `1024Mi` is `1Gi`.
//!
//! The form keeps the kind of suffix that was written (binary, decimal, exponent); this is why it is made here from text
//! and not from [`crate::Quantity`], which keeps the amount alone.

/// Text of another shape than a quantity.
const MALFORMED: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const BAD_SUFFIX: &str = "unable to parse quantity's suffix";
const BAD_NUMBER: &str = "unable to parse quantity's numeric part";

const NANO: i128 = 1_000_000_000;

/// Longest number that is computed with; longer ones are kept as written.
const MAX_DIGITS: usize = 27;

/// Decimal suffixes by thousands, from `n`.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Binary suffixes by 1024, from one.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Suffix {
    /// A power of 1024.
    Binary(u32),
    /// A power of ten, written with a letter.
    Decimal(i32),
    /// A power of ten, written as an exponent.
    Exponent(i32),
}

/// The canonical form of a quantity, or why the text is none.
pub(super) fn canonical(text: &str) -> Result<String, &'static str> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, suffix) = split(unsigned)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if text.is_empty() {
        return Err(MALFORMED);
    }
    let suffix = read_suffix(suffix)?;
    if whole.len() + fraction.len() == 0 {
        return Err(BAD_NUMBER);
    }
    let Some(nano) = nano(whole, fraction, suffix) else { return Ok(text.to_owned()) };
    if nano == 0 {
        return Ok("0".into());
    }
    Ok(format!("{sign}{}", print(nano, suffix)))
}

/// Splits `1.5Gi` into `1.5` and `Gi`.
fn split(unsigned: &str) -> Result<(&str, &str), &'static str> {
    let not_digit = |c: char| !c.is_ascii_digit();
    let mut end = unsigned.find(not_digit).unwrap_or(unsigned.len());
    if let Some(fraction) = unsigned[end..].strip_prefix('.') {
        end += 1 + fraction.find(not_digit).unwrap_or(fraction.len());
    }
    let (number, suffix) = unsigned.split_at(end);
    let letters = suffix.find(|c| !"eEinumkKMGTP".contains(c)).unwrap_or(suffix.len());
    let exponent = &suffix[letters..];
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if (number.is_empty() && suffix.is_empty()) || digits.contains(not_digit) {
        return Err(MALFORMED);
    }
    Ok((number, suffix))
}

fn read_suffix(suffix: &str) -> Result<Suffix, &'static str> {
    let power = |at: usize| i32::try_from(at).unwrap_or(0) * 3 - 9;
    if let Some(at) = DECIMAL.iter().position(|known| *known == suffix) {
        return Ok(Suffix::Decimal(power(at)));
    }
    if let Some(at) = BINARY.iter().position(|known| *known == suffix) {
        return Ok(Suffix::Binary(u32::try_from(at).unwrap_or(0)));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).and_then(|digits| digits.parse().ok());
    exponent.map(Suffix::Exponent).ok_or(BAD_SUFFIX)
}

/// The amount in nano units, rounded up; `None` when it is too large to compute with.
fn nano(whole: &str, fraction: &str, suffix: Suffix) -> Option<i128> {
    if whole.len() + fraction.len() > MAX_DIGITS {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?;
    let (power, times) = match suffix {
        Suffix::Decimal(power) | Suffix::Exponent(power) => (power, 1),
        Suffix::Binary(power) => (0, 1024_i128.checked_pow(power)?),
    };
    let shift = power.checked_add(9)?.checked_sub(scale)?;
    let amount = mantissa.checked_mul(times)?;
    if amount == 0 {
        return Some(0);
    }
    match u32::try_from(shift) {
        Ok(up) => amount.checked_mul(10_i128.checked_pow(up)?),
        Err(_) => {
            let Some(divisor) = 10_i128.checked_pow(shift.unsigned_abs()) else { return Some(1) };
            Some(amount / divisor + i128::from(amount % divisor != 0))
        }
    }
}

fn print(nano: i128, suffix: Suffix) -> String {
    if matches!(suffix, Suffix::Binary(_)) && nano % NANO == 0 && nano >= 1024 * NANO {
        let mut amount = nano / NANO;
        let mut power = 0;
        while amount % 1024 == 0 && power + 1 < BINARY.len() {
            amount /= 1024;
            power += 1;
        }
        return format!("{amount}{}", BINARY[power]);
    }
    let mut amount = nano;
    let mut power = -9;
    while amount % 1000 == 0 && power < 18 {
        amount /= 1000;
        power += 3;
    }
    match suffix {
        Suffix::Exponent(_) if power == 0 => amount.to_string(),
        Suffix::Exponent(_) => format!("{amount}e{power}"),
        _ => format!("{amount}{}", DECIMAL[usize::try_from((power + 9) / 3).unwrap_or(3)]),
    }
}

#[cfg(test)]
mod tests {
    use super::{BAD_NUMBER, BAD_SUFFIX, MALFORMED, canonical};

    #[test]
    fn quantities_have_one_form() {
        let cases = [
            ("0", "0"),
            ("-0", "0"),
            ("0Gi", "0"),
            ("1", "1"),
            ("+1", "1"),
            ("-1", "-1"),
            ("1000", "1k"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1.5", "1500m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("100m", "100m"),
            ("0.1m", "100u"),
            ("0.0000000001", "1n"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("0.5Ki", "512"),
            ("0.5", "500m"),
            ("1Ki", "1Ki"),
            ("1000Ki", "1000Ki"),
            ("1.1Ki", "1126400m"),
            ("64Mi", "64Mi"),
            ("100M", "100M"),
            ("1000M", "1G"),
            ("1e3", "1e3"),
            ("1e6", "1e6"),
            ("1E3", "1e3"),
            ("100e-3", "100e-3"),
            ("1e0", "1"),
            ("12e1", "120"),
            ("1E", "1E"),
            ("1000T", "1P"),
            ("250m", "250m"),
            ("9223372036854775807", "9223372036854775807"),
        ];
        for (given, expected) in cases {
            let first = canonical(given).unwrap();
            assert_eq!(first, expected, "{given}");
            assert_eq!(canonical(&first).unwrap(), first, "stable: {given}");
        }
    }

    #[test]
    fn other_text_is_refused_in_kubernetes_words() {
        let cases = [
            ("", MALFORMED),
            ("x", MALFORMED),
            ("100Mb", MALFORMED),
            ("1 Gi", MALFORMED),
            ("1..5", MALFORMED),
            ("--1", BAD_SUFFIX),
            ("Infinity", MALFORMED),
            (".", BAD_NUMBER),
            ("Gi", BAD_NUMBER),
            ("1Mm", BAD_SUFFIX),
            ("1K", BAD_SUFFIX),
            ("1ki", BAD_SUFFIX),
            ("1e", BAD_SUFFIX),
            ("1m5", BAD_SUFFIX),
        ];
        for (given, reason) in cases {
            assert_eq!(canonical(given), Err(reason), "{given}");
        }
    }
}
