//! The patches of the Kubernetes API: JSON patch, JSON merge patch and strategic merge patch.
//!
//! All are functions from a document and a patch to a document; none looks at metadata or versions.
//!
//! Invariant: whatever the input, the result is nested no deeper than [`MAX_DEPTH`] and no call panics.
//!
//! Deliberately absent: server-side apply, and making patches (clients do).

mod go_value;
mod json;
mod lists;
mod merge;
mod strategic;

use serde_json::Value;

pub use json::{MAX_COPY_BYTES, MAX_OPERATIONS, json_patch};
pub use merge::merge_patch;
pub use strategic::strategic_merge;

pub use crate::schema::MAX_DEPTH;
use crate::schema::depth_within;

/// Why a patch was not applied. The server answers with the HTTP status of [`PatchError::code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed: 400.
    #[error("{0}")]
    Malformed(String),
    /// The patch is well formed but does not fit the document: 422.
    #[error("{0}")]
    NotApplicable(String),
    /// The patch goes beyond a limit: 413.
    #[error("{0}")]
    TooLarge(String),
    /// What Kubernetes answers with 500: a strategic merge patch that lacks a merge key or mixes types.
    #[error("{0}")]
    Failed(String),
}

impl PatchError {
    /// HTTP status.
    pub fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TooLarge(_) => 413,
            Self::NotApplicable(_) => 422,
            Self::Failed(_) => 500,
        }
    }
}

fn refuse_deep(value: &Value) -> Result<(), PatchError> {
    if depth_within(value, MAX_DEPTH) {
        return Ok(());
    }
    Err(PatchError::NotApplicable(format!("patch is nested more than {MAX_DEPTH} levels deep; flatten it")))
}
