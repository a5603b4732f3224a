//! Changes of files on nodes and of objects: shown first, made in one step each, written down, and undone on demand.
//!
//! A [`Plan`] comes from findings' fixes and the evidence that they were found in. [`apply`] makes the changes one after
//! the other: a file is replaced whole or not at all, and only while it is what the evidence saw; an object is patched
//! only while it is at the revision that was looked at. Before anything changes there is a [`Receipt`] on disk with a
//! backup of every file, so whatever is killed at whatever moment, [`undo`] can put things back, and leaves alone what
//! somebody changed since. Deliberately absent: asking people. Who calls does that.

mod apply;
mod file;
mod ground;
mod object;
mod plan;
mod receipt;
mod undo;

pub use apply::{apply, restart};
pub use ground::Ground;
pub(crate) use object::touched;
pub use plan::{FileChange, ObjectChange, Plan, Refusal};
pub(crate) use receipt::state;
pub use receipt::{Receipt, Record, Restarted, Store};
pub use undo::{Undone, undo};

use crate::access::AccessError;

/// Why a change could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no way onto the node.
    #[error("there is no way onto node {0}: run this on the node, or reach it with ssh")]
    NoWay(String),
    /// There is no API.
    #[error("the API is not reached: objects can't be changed")]
    NoApi,
    /// The way onto the node failed.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A file is no longer what was looked at.
    #[error("{0} was changed in the meantime: look again")]
    FileChanged(String),
    /// A file could not be read or replaced.
    #[error("could not {what} {file}: {why}")]
    File {
        /// `read` or `replace`.
        what: &'static str,
        /// Node and path.
        file: String,
        /// What the node said.
        why: String,
    },
    /// An object is no longer what was looked at.
    #[error("{0} was changed in the meantime: look again")]
    ObjectChanged(String),
    /// An object was created, and others may have put something into it.
    #[error("deleting {0} would delete what others keep in it: delete it yourself if that is meant")]
    HoldsOthers(String),
    /// The API refused.
    #[error("could not change {object}")]
    Api {
        /// Kind and name.
        object: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// A receipt could not be written or read.
    #[error("could not {what} {path}")]
    Receipt {
        /// A verb.
        what: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A receipt is none.
    #[error("{path} is no receipt: {why}")]
    NoReceipt {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

#[cfg(test)]
mod tests;
