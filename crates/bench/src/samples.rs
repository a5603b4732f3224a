//! What is said of many measurements of one thing.

use std::time::Duration;

/// The value that `part` of the samples do not exceed (0.5 is the median); zero without samples.
pub(crate) fn quantile(samples: &[Duration], part: f64) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// The middle one.
pub(crate) fn median(samples: &[Duration]) -> Duration {
    quantile(samples, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples: Vec<Duration> = [5, 1, 3, 2, 4].map(Duration::from_secs).to_vec();
        assert_eq!(median(&samples), Duration::from_secs(3));
        assert_eq!(quantile(&samples, 1.0), Duration::from_secs(5));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
