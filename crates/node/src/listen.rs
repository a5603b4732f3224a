//! Hears from containerd when containers end, so nothing has to be polled.

use std::sync::Arc;
use std::time::Duration;

use cri::events::Event;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::node::Node;

/// After the stream broke: containerd restarts in less than this.
const AGAIN: Duration = Duration::from_millis(200);

/// Passes containerd's events on to the workers until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = hear(&node) => {}
            () = stop.cancelled() => return,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Hears until the stream breaks.
async fn hear(node: &Node) {
    let mut events = match node.runtime.events().await {
        Ok(events) => events,
        Err(err) => return debug!(error = %err, "containerd's events are not to be had"),
    };
    info!("listening to containerd");
    // What happened before the subscription is seen by looking.
    for inbox in node.inboxes() {
        inbox.tell(|news| news.look = true);
    }
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Exit(exit)) if exit.exec.is_none() => {
                if let Some(inbox) = node.inbox_of(&exit.container) {
                    inbox.tell(|news| _ = news.ended.insert(exit.container));
                }
            }
            // The end of the container, if it comes to that, is an event of its own.
            Ok(Event::Exit(_) | Event::OutOfMemory { .. }) => {}
            Err(err) => return debug!(error = %err, "containerd's events ended"),
        }
    }
}
