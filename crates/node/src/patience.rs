//! How long a watch waits before it tries again.

use std::time::Duration;

use kube::runtime::utils::Backoff;

const FIRST: Duration = Duration::from_millis(100);
/// A sandbox's API server comes back within seconds: waiting longer only makes a restart slower.
const MOST: Duration = Duration::from_secs(5);

/// Doubles from a tenth of a second to five.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    last: Option<Duration>,
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let next = self.last.map_or(FIRST, |last| (2 * last).min(MOST));
        self.last = Some(next);
        self.last
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.last = None;
    }
}
