//! Trying again: how often, and how long to wait in between.

use std::time::Duration;

/// Attempts at something that may fail in passing.
pub(super) const ATTEMPTS: u32 = 5;
/// The wait after the first failure; it doubles.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// The wait after the `n`th failed attempt, counted from 1.
pub(super) fn wait_after(n: u32) -> Duration {
    FIRST.saturating_mul(1 << n.saturating_sub(1).min(10)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let waits: Vec<u64> = (1..=7).map(|n| wait_after(n).as_millis().try_into().unwrap()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 15000, 15000]);
        assert_eq!(wait_after(u32::MAX), LONGEST);
    }
}
