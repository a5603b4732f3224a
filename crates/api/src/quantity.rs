//! Resource quantities: `100m`, `1.5Gi`, `2e3`.
//!
//! Kept exactly as thousandths of a millionth (nano units), the finest step that Kubernetes knows, rounded up.

use std::fmt;

/// An amount of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    nano: i128,
}

/// Text that is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct NotAQuantity;

const NANO: i128 = 1_000_000_000;

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nano: 0 };

    /// A whole number of units: bytes, pods, cores.
    pub const fn units(units: i64) -> Self {
        Self { nano: units as i128 * NANO }
    }

    /// Thousandths of a unit: millicores.
    pub const fn milli(milli: i64) -> Self {
        Self { nano: milli as i128 * (NANO / 1000) }
    }

    /// Parses Kubernetes' notation.
    ///
    /// # Errors
    /// When the text is no quantity or too large to be kept.
    pub fn parse(text: &str) -> Result<Self, NotAQuantity> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (digits, suffix) = unsigned.split_at(end);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') || digits.len() > 40 {
            return Err(NotAQuantity);
        }
        let mantissa: i128 = format!("{whole}{fraction}").parse().map_err(|_| NotAQuantity)?;
        let scale = u32::try_from(fraction.len()).map_err(|_| NotAQuantity)?;
        let (times, divided) = multiplier(suffix)?;
        let above = mantissa.checked_mul(times).and_then(|n| n.checked_mul(NANO)).ok_or(NotAQuantity)?;
        let below = 10_i128.checked_pow(scale).and_then(|n| n.checked_mul(divided)).ok_or(NotAQuantity)?;
        let nano = above / below + i128::from(above % below != 0);
        Ok(Self { nano: if text.starts_with('-') { -nano } else { nano } })
    }

    /// Thousandths of a unit, rounded up.
    pub fn as_milli(self) -> i64 {
        clamp(ceil(self.nano, NANO / 1000))
    }

    /// Whole units, rounded up.
    pub fn as_units(self) -> i64 {
        clamp(ceil(self.nano, NANO))
    }

    /// Whether the amount is below zero.
    pub fn negative(self) -> bool {
        self.nano < 0
    }

    /// The difference; may be negative.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_sub(other.nano) }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_add(other.nano) }
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.plus(other)
    }
}

impl std::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = self.plus(other);
    }
}

impl std::ops::Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.minus(other)
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

fn ceil(nano: i128, unit: i128) -> i128 {
    nano.div_euclid(unit) + i128::from(nano.rem_euclid(unit) != 0)
}

fn clamp(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}

/// What a suffix multiplies and divides by.
fn multiplier(suffix: &str) -> Result<(i128, i128), NotAQuantity> {
    Ok(match suffix {
        "" => (1, 1),
        "n" => (1, NANO),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (NANO, 1),
        "T" => (1000 * NANO, 1),
        "P" => (1_000_000 * NANO, 1),
        "E" => (NANO * NANO, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(NotAQuantity)?;
            let exponent: i32 = exponent.parse().map_err(|_| NotAQuantity)?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs()).ok_or(NotAQuantity)?;
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    })
}

impl fmt::Display for Quantity {
    /// Decimal notation with the largest suffix that needs no fraction: `1500m`, `2`, `3k`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let steps = [
            (NANO * NANO, "E"),
            (1_000_000 * NANO, "P"),
            (1000 * NANO, "T"),
            (NANO, "G"),
            (1_000_000, "M"),
            (1000, "k"),
            (1, ""),
        ];
        if self.nano % NANO == 0 {
            let units = self.nano / NANO;
            let (size, suffix) = steps.into_iter().find(|(size, _)| units % size == 0).unwrap_or((1, ""));
            return write!(f, "{}{suffix}", units / size);
        }
        let (size, suffix) = [(1_000_000, "m"), (1000, "u"), (1, "n")]
            .into_iter()
            .find(|(size, _)| self.nano % size == 0)
            .unwrap_or((1, "n"));
        write!(f, "{}{suffix}", self.nano / size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_is_understood() {
        let cases = [
            ("1", 1000),
            ("100m", 100),
            ("0.5", 500),
            (".5", 500),
            ("1.5k", 1_500_000),
            ("1e3", 1_000_000),
            ("2E2", 200_000),
            ("1Ki", 1_024_000),
            ("-1", -1000),
            ("1n", 1),
            ("1e-3", 1),
            ("0", 0),
            ("+3", 3000),
            ("5.", 5000),
        ];
        for (text, milli) in cases {
            assert_eq!(Quantity::parse(text).map(Quantity::as_milli), Ok(milli), "{text}");
        }
        for text in
            ["", "m", "1x", "1.2.3", "1 Gi", "1GiB", "e3", "--1", "1e", "99999999999999999999999999999999999999999"]
        {
            assert_eq!(Quantity::parse(text), Err(NotAQuantity), "{text}");
        }
    }

    #[test]
    fn printing_and_parsing_agree() {
        for text in ["0", "1", "100m", "1500m", "2k", "3G", "7u", "1001"] {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), text);
        }
    }
}
