//! Events are forgotten an hour after they happened last.

use std::sync::Arc;
use std::time::Duration;

use api::{GroupKind, Object};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use store::{Expect, Write};
use tokio_util::sync::CancellationToken;

use crate::Server;

/// How long events are kept, as the API server's `--event-ttl` has it.
const EVENT_TTL: SignedDuration = SignedDuration::from_hours(1);
/// How often is looked for such events.
const PERIOD: Duration = Duration::from_secs(60);
/// Deletions handed to the store at once.
const BATCH: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Times {
    last_timestamp: Option<Timestamp>,
    first_timestamp: Option<Timestamp>,
    event_time: Option<Timestamp>,
    #[serde(default)]
    series: Option<Series>,
    metadata: Created,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    last_observed_time: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    creation_timestamp: Option<Timestamp>,
}

/// Deletes old events, again and again until `stop`.
pub(crate) async fn run(server: Arc<Server>, stop: CancellationToken) {
    let mut period = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = period.tick() => expire(&server, Timestamp::now()).await,
        }
    }
}

/// Deletes the events that are old at `now`.
async fn expire(server: &Server, now: Timestamp) {
    let view = server.store.view();
    let Some(kind) = view.kind_id(GroupKind { group: "", kind: "Event" }) else { return };
    let old: Vec<Arc<Object>> = view.objects(kind).filter(|event| is_old(event, now)).cloned().collect();
    for batch in old.chunks(BATCH) {
        let deletions = batch.iter().map(|event| {
            let expect = Expect::Revision(event.header.revision);
            server.store.commit(vec![Write { key: event.header.key.clone(), expect, value: None }])
        });
        for failed in futures::future::join_all(deletions).await.into_iter().filter_map(Result::err) {
            tracing::debug!(error = %failed, "an old event stays for now");
        }
    }
}

/// Whether an event happened last longer ago than events are kept.
fn is_old(event: &Object, now: Timestamp) -> bool {
    let Ok(times) = serde_json::from_slice::<Times>(&event.json) else { return false };
    let seen = [
        times.series.and_then(|series| series.last_observed_time),
        times.last_timestamp,
        times.first_timestamp,
        times.event_time,
        times.metadata.creation_timestamp,
    ];
    seen.into_iter().flatten().max().is_some_and(|last| now.duration_since(last) > EVENT_TTL)
}
