//! The front door of a cluster: the Kubernetes API over HTTPS, and the same rules for callers in this process.
//!
//! A request passes, in this order: limits ([`http`]), authentication ([`auth`]), parsing ([`request`]),
//! authorization ([`auth`]), and then discovery, a proxy, metrics, a read or a write. Whoever calls in process uses a
//! [`Door`] and passes the same authorization, admission and validation.
//!
//! Invariant: only this crate opens the store, and nothing is written that did not pass [`write`].
//!
//! Deliberately absent: concrete kinds. The catalogue and the schemas come in as data; the few kinds that Kubernetes
//! itself treats specially at its door (namespaces, pods, services …) are named in [`admission`] and next to the
//! subresource that is theirs.

mod admission;
pub mod auth;
mod bootstrap;
pub mod config;
pub mod discovery;
mod door;
mod events;
mod expire;
pub mod http;
mod metrics;
pub mod proxy;
mod read;
pub mod request;
pub mod response;
mod route;
mod subresource;
pub mod user;
mod write;

use std::sync::Arc;

use api::Catalogue;
use api::schema::SchemaSet;
use store::Store;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::Config;
pub use door::Door;
pub use request::{Attributes, Request};
pub use response::{Body, Response};
pub use store::Follow;
pub use user::User;

/// The API server of one cluster.
pub struct Server {
    /// What it serves from.
    pub store: Arc<Store>,
    /// The kinds that it serves.
    pub catalogue: Arc<Catalogue>,
    /// Their structure.
    pub schemas: Arc<SchemaSet>,
    /// How it was set up.
    pub config: Config,
    /// Cancelled when the server shuts down: whatever runs long ends then.
    pub stopping: CancellationToken,
    /// Owner of everything that outlives its request (upgraded connections).
    pub tasks: TaskTracker,
    /// What authentication and authorization keep between requests.
    pub auth: auth::State,
    /// What discovery keeps between requests.
    pub discovery: discovery::State,
    /// What proxies keep between requests.
    pub proxy: proxy::State,
    /// Places of requests in work.
    in_flight: Semaphore,
    /// Held by who writes what must be unique or bounded across objects.
    turns: Mutex<()>,
    recorder: events::Recorder,
    rendered: read::Rendered,
}

/// Why a server could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A part of the configuration is unusable.
    #[error("server configuration: {what}: {why}")]
    Config {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Server {
    /// Sets a server up over an open store. Nothing listens yet.
    ///
    /// # Errors
    /// When the configuration is unusable.
    pub fn new(store: Arc<Store>, schemas: Arc<SchemaSet>, config: Config) -> Result<Arc<Self>, SetupError> {
        let catalogue = Arc::clone(store.view().catalogue());
        Ok(Arc::new(Self {
            auth: auth::State::new(&config)?,
            discovery: discovery::State::new(&config)?,
            proxy: proxy::State::new(&config)?,
            in_flight: Semaphore::new(config.max_in_flight),
            turns: Mutex::new(()),
            recorder: events::Recorder::default(),
            rendered: read::Rendered::default(),
            store,
            catalogue,
            schemas,
            config,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }
}
