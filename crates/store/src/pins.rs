//! Views that are kept for chunked lists (`limit` and `continue`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::{Revision, View};

/// How long a chunked list may take between two chunks.
const AGE: Duration = Duration::from_secs(300);
/// Views kept at most. Views share what did not change, so one costs little.
const VIEWS: usize = 64;

#[derive(Default)]
pub(crate) struct Pins {
    views: Mutex<BTreeMap<Revision, (Instant, View)>>,
}

impl Pins {
    pub(crate) fn put(&self, view: View) {
        let now = Instant::now();
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.retain(|_, (at, _)| now.duration_since(*at) < AGE);
        views.insert(view.revision(), (now, view));
        while views.len() > VIEWS {
            views.pop_first();
        }
    }

    pub(crate) fn get(&self, revision: Revision) -> Option<View> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, view) = views.get_mut(&revision)?;
        if at.elapsed() >= AGE {
            views.remove(&revision);
            return None;
        }
        *at = Instant::now();
        Some(view.clone())
    }
}
