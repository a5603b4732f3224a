//! Delays that double: between restarts of a container and between pulls of an image.

use jiff::{SignedDuration, Timestamp};

/// The first delay.
const FIRST: SignedDuration = SignedDuration::from_secs(10);
/// No delay is longer.
const MOST: SignedDuration = SignedDuration::from_secs(300);
/// After so long without trouble, the next delay is the first again.
const FORGET: SignedDuration = SignedDuration::from_secs(600);

/// How long to wait before the next try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    last: Option<(SignedDuration, Timestamp)>,
}

impl Backoff {
    /// When a new try is allowed after the trouble at `trouble`; the first one is at once. A trouble from
    /// before the last try does not count any more.
    pub fn until(&self, trouble: Timestamp) -> Timestamp {
        match self.last {
            Some((delay, since)) if trouble > since && trouble.duration_since(since) <= FORGET => trouble + delay,
            _ => trouble,
        }
    }

    /// The delay in force.
    pub fn delay(&self) -> SignedDuration {
        self.last.map_or(SignedDuration::ZERO, |(delay, _)| delay)
    }

    /// A try begins at `now`, after the trouble at `trouble`: the next delay is twice as long.
    pub fn tried(&mut self, trouble: Timestamp, now: Timestamp) {
        let delay = match self.last {
            Some((delay, since)) if trouble.duration_since(since) <= FORGET => (delay * 2).min(MOST),
            _ => FIRST,
        };
        self.last = Some((delay, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn delays_double_up_to_five_minutes_and_are_forgotten() {
        let mut backoff = Backoff::default();
        let mut now = 1000;
        let mut delays = Vec::new();
        for _ in 0..8 {
            let until = backoff.until(at(now));
            delays.push(until.duration_since(at(now)).as_secs());
            backoff.tried(until, until);
            now = until.as_second() + 1;
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.until(at(now - 1)), at(now - 1));
        assert_eq!(backoff.until(at(now + 601)), at(now + 601));
        backoff.tried(at(now + 601), at(now + 601));
        assert_eq!(backoff.delay().as_secs(), 10);
    }
}
