//! What containerd tells without being asked: a process ended, a container ran out of memory.
//!
//! Invariant: when [`Runtime::events`] returns, containerd has the subscription, so what happens from
//! then on is in the stream. Who lists the containers after subscribing misses nothing.
//!
//! CRI reads the same events at the same time: just after one, its answers may still be those of
//! before. [`Runtime::exited_container_status`] waits for it.
//!
//! Deliberately absent: resubscribing. A gap in the stream cannot be filled in, so the stream ends
//! with its error, and its reader must subscribe and list again.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use prost::Message;
use prost_types::Any;
use tokio::time::{interval, timeout};
use tonic::{Request, Status};

use crate::proto::containerd::services::events::v1 as events;
use crate::runtime::{NAMESPACE, QUERY, namespaced};
use crate::{Error, Runtime};

/// The topic of the marks by which a subscription sees that it has begun.
const MARK: &str = "/shipmate/subscribed";
/// How often a mark is published until one arrives.
const MARK_EVERY: Duration = Duration::from_millis(20);

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process ended.
    Exit(Exit),
    /// The kernel killed a process of the container for want of memory. The container may go on.
    OutOfMemory { container: String },
}

/// A process that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The container's id, or the sandbox's for its pause process.
    pub container: String,
    /// Which further process it was, or `None` for the container's first one.
    pub exec: Option<String>,
    pub pid: u32,
    /// 128 + N for a process that signal N killed.
    pub code: u32,
    pub at: Option<SystemTime>,
}

/// A live subscription. It ends after its first error.
pub struct Events {
    inner: BoxStream<'static, Result<Event, Error>>,
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(ctx)
    }
}

impl Runtime {
    /// Subscribes to the ends of processes and to out-of-memory kills in CRI's namespace.
    pub async fn events(&self) -> Result<Events, Error> {
        let begun = async {
            let mut client = self.event_service();
            // The answer's headers come with its first event, hence with a mark.
            let subscribing = client.subscribe(subscription());
            tokio::pin!(subscribing);
            let mut tick = interval(MARK_EVERY);
            loop {
                tokio::select! {
                    answer = &mut subscribing => return answer,
                    _ = tick.tick() => self.publish_mark().await?,
                }
            }
        };
        let answer = match timeout(QUERY, begun).await {
            Ok(answer) => answer.map_err(|status| self.status_error("Subscribe", status))?.into_inner(),
            Err(_) => return Err(self.deadline("Subscribe", QUERY)),
        };
        let runtime = self.clone();
        let inner = futures::stream::unfold(Some((answer, runtime)), |state| async {
            let (mut answer, runtime) = state?;
            loop {
                let error = match answer.message().await {
                    Ok(Some(envelope)) if envelope.topic == MARK => continue,
                    Ok(Some(envelope)) => match decode(&envelope) {
                        Ok(event) => return Some((Ok(event), Some((answer, runtime)))),
                        Err(err) => Status::data_loss(format!("{}: {err}", envelope.topic)),
                    },
                    Ok(None) => Status::unavailable("containerd closed the event stream"),
                    Err(status) => status,
                };
                return Some((Err(runtime.status_error("Subscribe", error)), None));
            }
        });
        Ok(Events { inner: inner.boxed() })
    }

    /// Any mark will do, also that of another subscriber: it shows that containerd sends to us.
    async fn publish_mark(&self) -> Result<(), Status> {
        let event = Some(Any { type_url: "shipmate/Subscribed".to_owned(), value: Vec::new() });
        let topic = MARK.to_owned();
        let request = namespaced(events::PublishRequest { topic, event });
        self.event_service().publish(request).await?;
        Ok(())
    }
}

fn subscription() -> Request<events::SubscribeRequest> {
    let topics = ["/tasks/exit", "/tasks/oom", MARK];
    let filters = topics.iter().map(|topic| format!("namespace==\"{NAMESPACE}\",topic==\"{topic}\"")).collect();
    namespaced(events::SubscribeRequest { filters })
}

fn decode(envelope: &events::Envelope) -> Result<Event, prost::DecodeError> {
    let value = envelope.event.as_ref().map_or(&[][..], |event| &event.value);
    if envelope.topic == "/tasks/oom" {
        let container = events::TaskOom::decode(value)?.container_id;
        return Ok(Event::OutOfMemory { container });
    }
    let exit = events::TaskExit::decode(value)?;
    Ok(Event::Exit(Exit {
        exec: (exit.id != exit.container_id).then_some(exit.id),
        container: exit.container_id,
        pid: exit.pid,
        code: exit.exit_status,
        at: exit.exited_at.and_then(|at| at.try_into().ok()),
    }))
}
