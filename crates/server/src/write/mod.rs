//! Create, update, patch and delete: one flow for every kind, for HTTP and for callers in this process.
//!
//! Each write is decided from the newest view and committed on the condition that what it was decided from still
//! holds; when it does not, it is decided again, or refused with a conflict when the caller named a revision. So the
//! steps in between (admission, defaults, validation) are functions of the view and need no locks; only what must be
//! unique across objects (service addresses, quotas) takes turns.
//!
//! Invariant: whatever is committed has passed admission and validation against the state that it replaces.

mod create;
mod decode;
mod delete;
pub(crate) mod http;
pub(crate) mod managed;
pub(crate) mod meta;
mod options;
mod patch;
mod update;

use std::sync::Arc;

use api::{Key, Object, Status, View};
use jiff::Timestamp;
use serde_json::Value;
use store::{CommitError, Expect, Write};

use crate::route::Served;
use crate::{Server, User};

pub(crate) use create::create;
pub(crate) use decode::{Validation, check, parse};
pub(crate) use delete::{DeleteOptions, Preconditions, delete};
pub(crate) use managed::Manager;
pub(crate) use options::WriteOptions;
pub(crate) use update::{Modify, update};

/// How often a write is decided again when others get in between. Each time somebody else has succeeded.
const ATTEMPTS: usize = 200;

/// The part of an object that a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status.
    Main,
    /// `status`, and metadata.
    Status,
    /// `spec.finalizers` of a namespace.
    Finalize,
    /// What the server itself decides, unseen by the rules for clients: binding a pod.
    Own,
}

/// A write by somebody.
#[derive(Clone)]
pub(crate) struct Op<'a> {
    pub(crate) server: &'a Server,
    pub(crate) user: &'a User,
    pub(crate) served: Served,
    /// Empty for cluster-scoped kinds.
    pub(crate) namespace: &'a str,
    /// Empty on create, when the object's own name is to be taken.
    pub(crate) name: &'a str,
    pub(crate) part: Part,
    pub(crate) dry_run: bool,
    /// Under which name its fields are managed.
    pub(crate) manager: Manager,
}

/// What became of an object.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It is there, in this state.
    Kept(Arc<Object>),
    /// It is gone; this was its last state.
    Gone(Arc<Object>),
}

impl Outcome {
    /// The state, last or current.
    pub(crate) fn object(&self) -> &Arc<Object> {
        match self {
            Self::Kept(object) | Self::Gone(object) => object,
        }
    }
}

impl Op<'_> {
    /// The newest view, at the current time.
    pub(crate) fn view(&self) -> View {
        self.server.store.view().at(Timestamp::now())
    }

    /// The key of the object.
    fn key(&self) -> Key {
        self.served.key(self.namespace, self.name)
    }

    /// The object as it is.
    fn current<'v>(&self, view: &'v View) -> Result<&'v Arc<Object>, Status> {
        view.object(&self.key()).ok_or_else(|| self.served.not_found(self.name))
    }

    /// 409 with a reason.
    fn conflict(&self, detail: &str) -> Status {
        Status::conflict(self.served.group(), self.served.kind.plural, self.name, detail)
    }

    /// Writes one object, or only seals it on a dry run.
    async fn commit(&self, key: Key, expect: Expect, value: Value) -> Result<Arc<Object>, CommitError> {
        if self.dry_run {
            let revision = if let Expect::Revision(revision) = expect { revision } else { 0 };
            return Ok(Arc::new(Object::seal(&self.served.kind, value, revision)));
        }
        self.write(Write { key, expect, value: Some(value) }).await
    }

    /// Removes an object that is as it was.
    async fn remove(&self, object: &Arc<Object>) -> Result<Arc<Object>, CommitError> {
        if self.dry_run {
            return Ok(Arc::clone(object));
        }
        let expect = Expect::Revision(object.header.revision);
        self.write(Write { key: object.header.key.clone(), expect, value: None }).await
    }

    async fn write(&self, write: Write) -> Result<Arc<Object>, CommitError> {
        let written = self.server.store.commit(vec![write]).await?;
        Ok(written.into_iter().next().expect("a commit answers with one object per write"))
    }

    /// A failure that trying again does not mend.
    fn failed(&self, error: &CommitError) -> Status {
        match error {
            CommitError::Exists(object) => {
                Status::already_exists(self.served.group(), self.served.kind.plural, &object.header.key.name)
            }
            CommitError::Conflict(_) => self.conflict(MODIFIED),
            CommitError::Missing(key) => self.served.not_found(&key.name),
            CommitError::Io(_) | CommitError::Closed => Status::internal(error),
        }
    }
}

/// What a conflict says; clients look for these words.
pub(crate) const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// A value in the version in which it is stored, from the one in which it was sent.
fn to_stored(served: &Served, value: &mut Value) {
    if let Some(alias) = served.alias {
        (alias.store)(value);
    }
}
