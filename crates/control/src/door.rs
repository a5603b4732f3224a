//! The seam to the server: what the loops need of it, so that tests run them against a store in memory.

use std::future::Future;
use std::sync::Arc;

use api::{Change, LogEntry, Object, Revision, Status, View};
use server::User;

/// In-process access to the API. Cheap to clone.
pub trait Door: Clone + Send + Sync + 'static {
    /// Follows the changes of all kinds.
    type Follow: Follow;

    /// The latest view, at the current time.
    fn view(&self) -> View;

    /// A view that shows `revision`.
    fn view_from(&self, revision: Revision) -> impl Future<Output = View> + Send;

    /// Follows all kinds from now on: a view taken after this call misses nothing.
    fn follow(&self) -> Self::Follow;

    /// Makes a change as `user`. When it is answered, [`Door::view`] shows it.
    fn commit(&self, user: &User, change: Change) -> impl Future<Output = Result<Option<Arc<Object>>, Status>> + Send;

    /// A token of a service account that lasts as long as a Secret.
    ///
    /// # Errors
    /// When there is no such service account.
    fn account_token(&self, view: &View, namespace: &str, account: &str, secret: &str) -> Result<String, Status>;
}

/// A place in the log.
pub trait Follow: Send + 'static {
    /// The next changes in order; `None` when some were missed and everything has to be looked at again.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Arc<LogEntry>>>> + Send;
}

impl Door for server::Door {
    type Follow = server::Follow;

    fn view(&self) -> View {
        self.view()
    }

    async fn view_from(&self, revision: Revision) -> View {
        self.view_from(revision).await
    }

    fn follow(&self) -> Self::Follow {
        self.follow()
    }

    async fn commit(&self, user: &User, change: Change) -> Result<Option<Arc<Object>>, Status> {
        self.commit(user, change).await
    }

    fn account_token(&self, view: &View, namespace: &str, account: &str, secret: &str) -> Result<String, Status> {
        self.account_token(view, namespace, account, secret)
    }
}

impl Follow for server::Follow {
    async fn next(&mut self) -> Option<Vec<Arc<LogEntry>>> {
        self.next().await.ok()
    }
}
