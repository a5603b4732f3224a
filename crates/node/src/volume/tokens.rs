//! Service account tokens of pods, asked for anew before they expire.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::labels::PodRef;
use crate::objects::{FetchError, Objects, TokenAsk};

/// However long a token lives, it is not used for longer.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);

/// The tokens in use. They are kept in memory only.
#[derive(Default)]
pub(crate) struct Tokens {
    /// By pod uid and place in the pod.
    held: Mutex<HashMap<(String, String), Held>>,
}

struct Held {
    token: String,
    ask: TokenAsk,
    renew_at: Timestamp,
}

impl Tokens {
    /// The token for a place in a pod's volumes: the one in use, or a new one when it is time.
    pub(crate) async fn get(
        &self,
        objects: &Objects,
        pod: &PodRef,
        account: &str,
        place: &str,
        ask: TokenAsk,
    ) -> Result<String, FetchError> {
        let key = (pod.uid.clone(), place.to_owned());
        let now = Timestamp::now();
        if let Some(held) = self.held().get(&key).filter(|held| held.ask == ask && now < held.renew_at) {
            return Ok(held.token.clone());
        }
        let answer = objects.token(pod, account, ask.clone()).await?;
        let status = answer.status.unwrap_or_default();
        let token = status.token.unwrap_or_default();
        // An answer without an expiry is renewed at the next chance.
        let renew_at = status.expiration_timestamp.map_or(now, |expires| renewal(now, expires.0));
        self.held().insert(key, Held { token: token.clone(), ask, renew_at });
        Ok(token)
    }

    /// Forgets the tokens of a pod.
    pub(crate) fn forget(&self, uid: &str) {
        self.held().retain(|(owner, _), _| owner != uid);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(String, String), Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After four fifths of its life.
fn renewal(now: Timestamp, expires: Timestamp) -> Timestamp {
    let life = expires.duration_since(now);
    now + (life * 4 / 5).clamp(SignedDuration::ZERO, OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_after_four_fifths() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(renewal(at(0), at(1000)), at(800));
        assert_eq!(renewal(at(0), at(1_000_000)), at(86_400));
        assert_eq!(renewal(at(10), at(0)), at(10));
    }
}
