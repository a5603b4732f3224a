//! Keys that wait to be looked at: each at most once, never one twice at the same time.
//!
//! A key that is woken while it is being looked at comes back afterwards. Deliberately absent: why a key waits. The
//! plan reads the view, not the event.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::Key;
use tokio::sync::Notify;
use tokio::time::Instant;

/// First wait after an error; doubles with each.
const BACK_OFF: Duration = Duration::from_millis(10);
/// Longest wait after an error.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Waiting keys.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Key>,
    queued: HashSet<Key>,
    /// Keys being looked at; `true` when they were woken meanwhile.
    busy: HashMap<Key, bool>,
    timers: BTreeSet<(Instant, Key)>,
    timer_of: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes keys.
    pub fn wake(&self, keys: impl IntoIterator<Item = Key>) {
        let mut state = self.state();
        let mut any = false;
        for key in keys {
            state.wake(key);
            any = true;
        }
        drop(state);
        if any {
            self.changed.notify_one();
        }
    }

    /// The next key to look at; waits until there is one. Dropping the future loses nothing.
    pub async fn next(&self) -> Key {
        loop {
            let due = {
                let mut state = self.state();
                state.ring(Instant::now());
                if let Some(key) = state.take() {
                    return key;
                }
                state.timers.first().map(|(at, _)| *at)
            };
            match due {
                Some(at) => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Puts a key away that was looked at; `after` is when to look again although nothing changed.
    pub fn done(&self, key: &Key, after: Option<Duration>) {
        let mut state = self.state();
        state.failures.remove(key);
        state.put_away(key, after.map(|after| Instant::now() + after));
        drop(state);
        self.changed.notify_one();
    }

    /// Puts a key away that could not be dealt with; it comes back later each time, or when it is woken: what
    /// changed may be what was in the way.
    pub fn failed(&self, key: &Key) -> Duration {
        let mut state = self.state();
        let failures = state.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let wait = BACK_OFF.saturating_mul(1 << (*failures - 1).min(16)).min(BACK_OFF_MAX);
        state.put_away(key, Some(Instant::now() + wait));
        drop(state);
        self.changed.notify_one();
        wait
    }
}

impl State {
    fn wake(&mut self, key: Key) {
        if let Some(again) = self.busy.get_mut(&key) {
            *again = true;
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn take(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        self.busy.insert(key.clone(), false);
        Some(key)
    }

    /// Makes keys ready whose time has come.
    fn ring(&mut self, now: Instant) {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, key)) = self.timers.pop_first() else { break };
            self.timer_of.remove(&key);
            self.wake(key);
        }
    }

    fn put_away(&mut self, key: &Key, at: Option<Instant>) {
        if let Some(before) = self.timer_of.remove(key) {
            self.timers.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.timers.insert((at, key.clone()));
            self.timer_of.insert(key.clone(), at);
        }
        if self.busy.remove(key) == Some(true) {
            self.wake(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::KindId;

    fn key(name: &str) -> Key {
        Key::new(KindId(0), "", name)
    }

    async fn next(queue: &Queue) -> Option<String> {
        let next = tokio::time::timeout(Duration::from_millis(1), queue.next()).await;
        next.ok().map(|key| key.name.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_once_and_is_looked_at_by_one() {
        let queue = Queue::default();
        queue.wake([key("a"), key("b"), key("a")]);
        assert_eq!(next(&queue).await.as_deref(), Some("a"));
        queue.wake([key("a")]);
        assert_eq!(next(&queue).await.as_deref(), Some("b"));
        assert_eq!(next(&queue).await, None);
        queue.done(&key("a"), None);
        assert_eq!(next(&queue).await.as_deref(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_brings_a_key_back() {
        let queue = Queue::default();
        queue.wake([key("a")]);
        assert_eq!(next(&queue).await.as_deref(), Some("a"));
        queue.done(&key("a"), Some(Duration::from_secs(60)));
        assert_eq!(next(&queue).await, None);
        let started = Instant::now();
        assert_eq!(&*queue.next().await.name, "a");
        assert!(started.elapsed() > Duration::from_secs(59));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_make_a_key_wait_longer_and_longer() {
        let queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..16 {
            queue.wake([key("a")]);
            assert_eq!(&*queue.next().await.name, "a");
            waits.push(queue.failed(&key("a")));
        }
        assert_eq!(waits[0], BACK_OFF);
        assert_eq!(waits[2], BACK_OFF * 4);
        assert_eq!(waits[15], BACK_OFF_MAX);
        let started = Instant::now();
        queue.next().await;
        assert!(started.elapsed() >= BACK_OFF_MAX);
        queue.done(&key("a"), None);
        queue.wake([key("a")]);
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(queue.failed(&key("a")), BACK_OFF);
    }
}
