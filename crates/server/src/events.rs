//! Events as they are recorded in process: the same thing again counts up instead of filling the log.
//!
//! Three bounds, as client-go's recorder has them: equal events share one object and a count; many that differ in
//! their message alone share one too; and who still records too much about one object is not listened to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use api::{EventType, GroupKind, Object, Status, View};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::route::Served;
use crate::write::{self, Manager, Modify, Op, Part, meta};
use crate::{Server, User};

/// Events that differ in their message alone and are kept apart.
const SIMILAR: usize = 10;
/// How long back such events count.
const SIMILAR_AGE: SignedDuration = SignedDuration::from_mins(10);
const COMBINED: &str = "(combined from similar events): ";
/// Events that one component may record about one object at once.
const BURST: f64 = 25.0;
/// Seconds until it may record one more.
const REFILL: f64 = 300.0;
/// Objects whose bursts are remembered.
const REMEMBERED: usize = 4096;

/// How much components may still record about objects.
#[derive(Default)]
pub(crate) struct Recorder {
    left: Mutex<HashMap<(String, String), (Timestamp, f64)>>,
}

impl Recorder {
    /// Takes one event out of the budget.
    fn may(&self, component: &str, about: &str, now: Timestamp) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() >= REMEMBERED {
            left.clear();
        }
        let (at, tokens) = left.entry((component.to_owned(), about.to_owned())).or_insert((now, BURST));
        let since = now.duration_since(*at).as_secs_f64().max(0.0);
        *tokens = (*tokens + since / REFILL).min(BURST);
        *at = now;
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }
}

/// What is to be recorded.
pub(crate) struct Wanted<'a> {
    pub(crate) about: &'a Value,
    pub(crate) kind: EventType,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
}

/// Records an event; `None` when it was one too many.
///
/// # Errors
/// A refusal.
pub(crate) async fn record(
    server: &Server,
    user: &User,
    served: &Served,
    wanted: &Wanted<'_>,
) -> Result<Option<Arc<Object>>, Status> {
    let component = component(user);
    let about = wanted.about["uid"].as_str().unwrap_or_default();
    let view = server.store.view().at(Timestamp::now());
    if !server.recorder.may(component, about, view.now()) {
        return Ok(None);
    }
    let namespace = namespace_of(wanted.about).to_owned();
    let (message, same) = find(&view, component, wanted);
    let name = match &same {
        Some(same) => same.header.key.name.to_string(),
        None => format!("{}.{:x}", wanted.about["name"].as_str().unwrap_or_default(), view.now().as_nanosecond()),
    };
    let op = Op {
        server,
        user,
        served: served.clone(),
        namespace: &namespace,
        name: &name,
        part: Part::Main,
        dry_run: false,
        manager: Manager::default(),
    };
    let now = meta::time(view.now());
    if same.is_some() {
        let again = |old: &Value| {
            let mut event = old.clone();
            event["count"] = json!(old["count"].as_i64().unwrap_or(1) + 1);
            event["lastTimestamp"] = json!(now);
            event["message"] = json!(message);
            Ok(event)
        };
        let outcome = write::update(&op, Modify::With(&again)).await?;
        return Ok(Some(Arc::clone(outcome.object())));
    }
    let event = json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": wanted.about,
        "type": type_text(wanted.kind),
        "reason": wanted.reason,
        "message": message,
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": "",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "eventTime": null,
    });
    write::create(&op, event).await.map(Some)
}

/// Namespace of events about an object.
pub(crate) fn namespace_of(about: &Value) -> &str {
    about["namespace"].as_str().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
}

/// The component that a user is, as events name it.
fn component(user: &User) -> &str {
    match user.name.as_str() {
        "system:kube-scheduler" => "default-scheduler",
        "system:apiserver" => "apiserver",
        name => name.rsplit(':').next().unwrap_or(name),
    }
}

fn type_text(kind: EventType) -> &'static str {
    match kind {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    }
}

/// The message to record, and the event that says the same already.
fn find(view: &View, component: &str, wanted: &Wanted<'_>) -> (String, Option<Arc<Object>>) {
    let message = wanted.message.to_owned();
    let Some(kind) = view.kind_id(GroupKind { group: "", kind: "Event" }) else { return (message, None) };
    let about = wanted.about["uid"].as_str().unwrap_or_default();
    let similar: Vec<(Arc<Object>, Value)> = view
        .by_field(kind, about)
        .map(|object| (Arc::clone(object), object.value()))
        .filter(|(_, event)| {
            event["reason"] == wanted.reason
                && event["type"] == type_text(wanted.kind)
                && event["source"]["component"] == component
        })
        .collect();
    if let Some((object, _)) = similar.iter().find(|(_, event)| event["message"] == message) {
        return (message, Some(Arc::clone(object)));
    }
    let recent = |event: &Value| {
        let last = event["lastTimestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        last.is_some_and(|last| view.now().duration_since(last) < SIMILAR_AGE)
    };
    if similar.iter().filter(|(_, event)| recent(event)).count() < SIMILAR {
        return (message, None);
    }
    let combined = similar
        .iter()
        .find(|(_, event)| event["message"].as_str().is_some_and(|text| text.starts_with(COMBINED)))
        .map(|(object, _)| Arc::clone(object));
    (format!("{COMBINED}{message}"), combined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_records_too_much_is_not_listened_to() {
        let recorder = Recorder::default();
        let start = Timestamp::UNIX_EPOCH;
        let heard = (0..40).filter(|_| recorder.may("kubelet", "uid", start)).count();
        assert_eq!(heard, 25);
        assert!(recorder.may("kubelet", "other", start));
        assert!(recorder.may("kubelet", "uid", start + SignedDuration::from_secs(301)));
    }
}
