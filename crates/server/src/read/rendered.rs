//! Watch events as they were written last: many watchers of a kind send the same bytes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use api::Revision;
use bytes::Bytes;

/// Bytes of events that are kept.
const KEPT: usize = 4 << 20;

/// Names an event: a revision is one change of one object, which selectors show as one of three types.
type Name = (Revision, &'static str);

/// The newest events that were written.
#[derive(Default)]
pub(crate) struct Rendered {
    kept: Mutex<(VecDeque<(Name, Bytes)>, usize)>,
}

impl Rendered {
    /// The bytes of an event, written when nobody has done so lately.
    pub(super) fn event(&self, revision: Revision, event: &'static str, write: impl FnOnce() -> Vec<u8>) -> Bytes {
        let name = (revision, event);
        if let Some(found) = self.find(name) {
            return found;
        }
        let bytes = Bytes::from(write());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (events, size) = &mut *kept;
        *size += bytes.len();
        events.push_back((name, bytes.clone()));
        while *size > KEPT {
            let Some((_, oldest)) = events.pop_front() else { break };
            *size -= oldest.len();
        }
        bytes
    }

    fn find(&self, name: Name) -> Option<Bytes> {
        /// Watchers that keep up ask for one of the newest.
        const NEWEST: usize = 64;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0.iter().rev().take(NEWEST).find(|(own, _)| *own == name).map(|(_, bytes)| bytes.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_once_and_large_ones_are_forgotten() {
        let rendered = Rendered::default();
        let write = |size: usize| move || vec![b'x'; size];
        assert_eq!(rendered.event(1, "ADDED", write(3)).len(), 3);
        assert_eq!(rendered.event(1, "ADDED", || unreachable!("it is kept")).len(), 3);
        assert_eq!(rendered.event(1, "DELETED", write(4)).len(), 4);
        rendered.event(2, "ADDED", write(KEPT));
        assert_eq!(rendered.event(1, "ADDED", write(5)).len(), 5);
    }
}
