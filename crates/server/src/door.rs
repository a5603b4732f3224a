//! The front door for callers in this process: controllers, the scheduler, the bootstrap.

use std::sync::Arc;

use api::{Change, Object, Status, View};

use crate::{Server, User};

/// In-process access, with the authorization, admission and validation of HTTP requests. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    server: Arc<Server>,
}

impl Door {
    /// The door of a server.
    pub fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// The latest view.
    pub fn view(&self) -> View {
        self.server.store.view()
    }

    /// Makes a change as `user`. The object as it is afterwards; `None` when it is gone.
    ///
    /// # Errors
    /// A refusal, as HTTP would answer it.
    pub async fn commit(&self, _user: &User, _change: Change) -> Result<Option<Arc<Object>>, Status> {
        Err(Status::not_implemented("in-process changes"))
    }
}
