//! The connection to one containerd.
//!
//! Invariant: a [`Runtime`] never needs to be replaced. It connects at the first call, and again at
//! the first call after containerd restarted.
//!
//! Deliberately absent: retries. A call that failed because containerd went away may or may not have
//! been carried out, and only the caller knows whether asking again is right.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::Error;
use crate::proto::containerd::services as containerd;
use crate::proto::runtime::v1 as cri;

/// containerd's namespace for everything that CRI sees.
pub const NAMESPACE: &str = "k8s.io";

/// For calls that only look something up.
pub(crate) const QUERY: Duration = Duration::from_secs(30);
/// For calls that start or end processes; what Kubernetes allows a runtime request.
pub(crate) const ACTION: Duration = Duration::from_secs(120);

/// The largest answer that is accepted: the output of one command is limited by it too.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// How often [`Runtime::ready`] asks.
const READY_POLL: Duration = Duration::from_millis(10);

/// A client of the containerd at one unix socket. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Runtime {
    channel: Channel,
    socket: Arc<Path>,
    pipes: Arc<Path>,
}

/// Makes a client with our limits from its generated type.
macro_rules! client {
    ($name:ident, $client:ty) => {
        pub(crate) fn $name(&self) -> $client {
            <$client>::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
        }
    };
}

impl Runtime {
    /// A client for `socket`, which need not exist yet. Must be called within a tokio runtime.
    ///
    /// The pipes of processes are made in `exec/` beside the socket, where containerd sees them
    /// too, even when it has a mount namespace of its own.
    pub fn new(socket: impl Into<PathBuf>) -> Result<Self, Error> {
        let socket: PathBuf = socket.into();
        let Some(path) = socket.to_str() else {
            return Err(Error::SocketPath { path: socket });
        };
        let endpoint =
            Endpoint::from_shared(format!("unix://{path}")).map_err(|_| Error::SocketPath { path: socket.clone() })?;
        let pipes = socket.with_file_name("exec");
        Ok(Self { channel: endpoint.connect_lazy(), socket: socket.into(), pipes: pipes.into() })
    }

    /// The path of containerd's socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The connection, for calls that no generated client has.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Where the pipes of processes are made.
    pub(crate) fn pipes(&self) -> &Path {
        &self.pipes
    }

    /// Waits until CRI answers, for at most `limit`; the error is that of the last attempt.
    pub async fn ready(&self, limit: Duration) -> Result<cri::StatusResponse, Error> {
        let end = Instant::now() + limit;
        loop {
            match self.status().await {
                Ok(status) => return Ok(status),
                Err(err) if !err.unavailable() && !err.not_ready_yet() => return Err(err),
                Err(err) if Instant::now() >= end => return Err(err),
                Err(_) => sleep(READY_POLL).await,
            }
        }
    }

    /// Awaits one answer within `limit` and names the call in its errors. Giving up cancels the
    /// call in containerd too.
    pub(crate) async fn call<T>(
        &self,
        call: &'static str,
        limit: Duration,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Error::from_status(call, &self.socket, status)),
            Err(_) => Err(self.deadline(call, limit)),
        }
    }

    pub(crate) fn deadline(&self, call: &'static str, limit: Duration) -> Error {
        Error::Deadline { call, socket: self.socket.clone(), limit }
    }

    pub(crate) fn status_error(&self, call: &'static str, status: Status) -> Error {
        Error::from_status(call, &self.socket, status)
    }

    /// Insists on a part of an answer that the protocol promises.
    pub(crate) fn part<T>(&self, call: &'static str, field: &'static str, part: Option<T>) -> Result<T, Error> {
        part.ok_or_else(|| Error::Incomplete { call, socket: self.socket.clone(), field })
    }

    client!(runtime, cri::runtime_service_client::RuntimeServiceClient<Channel>);
    client!(image_service, cri::image_service_client::ImageServiceClient<Channel>);
    client!(containers, containerd::containers::v1::containers_client::ContainersClient<Channel>);
    client!(content, containerd::content::v1::content_client::ContentClient<Channel>);
    client!(event_service, containerd::events::v1::events_client::EventsClient<Channel>);
    client!(images, containerd::images::v1::images_client::ImagesClient<Channel>);
    client!(introspection, containerd::introspection::v1::introspection_client::IntrospectionClient<Channel>);
    client!(leases, containerd::leases::v1::leases_client::LeasesClient<Channel>);
    client!(tasks, containerd::tasks::v1::tasks_client::TasksClient<Channel>);
    client!(versions, containerd::version::v1::version_client::VersionClient<Channel>);
}

/// A request to one of containerd's own services, in CRI's namespace.
pub(crate) fn namespaced<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
    request
}
