//! Role-based access control: roles, bindings, and the index over them.
//!
//! The index is built from one view and kept until a role or a binding changes; a decision then costs a few map
//! look-ups and the rules of the roles that the user has. An aggregated ClusterRole's rules are those of the
//! roles that it selects, so a decision does not wait for the controller that writes them down.

mod index;
mod rule;

use std::sync::{Arc, Mutex, PoisonError};

use api::{GroupKind, View};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};

pub use index::Index;
pub use rule::{Rule, quoted, uncovered};

/// Kinds that the index is made of.
const KINDS: [GroupKind; 4] = [
    GroupKind::of::<ClusterRole>(),
    GroupKind::of::<ClusterRoleBinding>(),
    GroupKind::of::<Role>(),
    GroupKind::of::<RoleBinding>(),
];

type Changes = [u64; 4];

/// The index of the latest roles and bindings.
#[derive(Default)]
pub struct Cache {
    latest: Mutex<Option<(Changes, Arc<Index>)>>,
}

impl Cache {
    /// The index of a view.
    pub fn index(&self, view: &View) -> Arc<Index> {
        let changes = KINDS.map(|kind| view.kind_id(kind).map_or(0, |id| view.n_changes(id)));
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((seen, index)) if *seen == changes => Arc::clone(index),
            _ => {
                let index = Arc::new(Index::new(view));
                *latest = Some((changes, Arc::clone(&index)));
                index
            }
        }
    }
}

#[cfg(test)]
mod cases;
