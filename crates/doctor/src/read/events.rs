//! Events of the API, as tables and as objects, and which of them are over.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::existing::PodRow;
use super::log::Level;
use super::messages::{Message, Speaker, blank};
use super::objects::Found;
use super::table;
use crate::text::unquoted;

/// Rows of `Type Reason Age From Message` and of `LAST SEEN TYPE REASON OBJECT MESSAGE`.
/// `asked` is the namespace that the command named.
pub(super) fn rows(number: usize, asked: Option<&str>, text: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    for row in table::columns(text, "Type ") {
        if row.get("Reason").is_empty() {
            continue;
        }
        if !row.get("LastTransitionTime").is_empty() {
            messages.push(condition(number, &row));
            continue;
        }
        let mut message = blank(number, row.line, Speaker::Event, level(row.first()), &unquoted(row.get("Message")));
        row.get("Reason").clone_into(&mut message.reason);
        message.age = table::age(row.get("Age"));
        message.count = table::times(row.get("Age"));
        messages.push(message);
    }
    for row in table::columns(text, "LAST SEEN").into_iter().chain(table::columns(text, "NAMESPACE ")) {
        if row.get("REASON").is_empty() {
            continue;
        }
        let mut message =
            blank(number, row.line, Speaker::Event, level(row.get("TYPE")), &unquoted(row.get("MESSAGE")));
        row.get("REASON").clone_into(&mut message.reason);
        message.age = table::age(row.get("LAST SEEN"));
        message.count = table::times(row.get("LAST SEEN"));
        if let Some(name) = row.get("OBJECT").strip_prefix("node/") {
            name.clone_into(&mut message.node);
        }
        if let Some(name) = row.get("OBJECT").strip_prefix("pod/") {
            let namespace = match row.get("NAMESPACE") {
                "" => asked.unwrap_or_default(),
                namespace => namespace,
            };
            message.pod = (namespace.to_owned(), name.to_owned());
        }
        messages.push(message);
    }
    messages
}

/// Rows of events whose table lost its head: `Warning  Failed  3s (x4 over 5m)  kubelet  …`.
pub(super) fn headless(number: usize, text: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (kind, rest) = line.trim().split_once(' ').unwrap_or_default();
        if !matches!(kind, "Warning" | "Normal") {
            continue;
        }
        let cells: Vec<&str> = rest.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let [reason, age, _, words @ ..] = cells.as_slice() else { continue };
        if words.is_empty() || table::age(age).is_none() {
            continue;
        }
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let mut message = blank(number, line, Speaker::Event, level(kind), &unquoted(&words.join("  ")));
        (*reason).clone_into(&mut message.reason);
        message.age = table::age(age);
        message.count = table::times(age);
        messages.push(message);
    }
    messages
}

/// A row of the conditions that `kubectl describe node` prints.
fn condition(number: usize, row: &table::Row<'_>) -> Message {
    told_condition(number, row.line, [row.first(), row.get("Status"), row.get("Reason"), row.get("Message")])
}

/// Such a row that was cut out of its table: cells are two blanks or more apart.
pub(super) fn bare_condition(number: usize, line: u32, row: &str) -> Option<Message> {
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let [kind, status, _, _, reason, words] = cells.as_slice() else { return None };
    let told = matches!(*status, "True" | "False" | "Unknown") && kind.chars().all(char::is_alphabetic);
    told.then(|| told_condition(number, line, [kind, status, reason, words]))
}

fn told_condition(number: usize, line: u32, [kind, status, reason, words]: [&str; 4]) -> Message {
    let bad = match kind {
        "Ready" => status != "True",
        "MemoryPressure" | "DiskPressure" | "PIDPressure" | "NetworkUnavailable" => status == "True",
        _ => false,
    };
    let level = if bad { Level::Warning } else { Level::Quiet };
    let mut message = blank(number, line, Speaker::Status, level, &unquoted(words));
    reason.clone_into(&mut message.reason);
    message
}

fn level(word: &str) -> Level {
    if word == "Warning" { Level::Warning } else { Level::Quiet }
}

/// Events and conditions of nodes among the objects of one item.
pub(super) fn of_objects(number: usize, objects: &[Found]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut times: Vec<Option<i64>> = Vec::new();
    for found in objects.iter().filter(|found| found.item == number) {
        match found.kind() {
            "Event" => {
                messages.push(of_event(found));
                times.push(event_time(&found.object));
            }
            "Node" => {
                let conditions = of_node(found);
                times.extend(conditions.iter().map(|_| None));
                messages.extend(conditions);
            }
            _ => {}
        }
    }
    // There is no clock here: the newest event is now.
    let now = times.iter().flatten().max().copied();
    for (message, time) in messages.iter_mut().zip(&times) {
        message.age = now.zip(*time).and_then(|(now, time)| u64::try_from(now - time).ok());
    }
    messages
}

/// When an event happened last, in seconds.
fn event_time(event: &Value) -> Option<i64> {
    let texts = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["firstTimestamp"],
        &event["metadata"]["creationTimestamp"],
    ];
    let text = texts.into_iter().find_map(Value::as_str)?;
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// What a node that is not ready says of it.
fn of_node(found: &Found) -> Vec<Message> {
    let mut messages = Vec::new();
    for condition in found.object["status"]["conditions"].as_array().into_iter().flatten() {
        let words = condition["message"].as_str().unwrap_or_default();
        if condition["type"] == "Ready" && condition["status"] != "True" && !words.is_empty() {
            let mut message = blank(found.item, 1, Speaker::Status, Level::Warning, words);
            condition["reason"].as_str().unwrap_or_default().clone_into(&mut message.reason);
            found.name().clone_into(&mut message.node);
            messages.push(message);
        }
    }
    messages
}

/// An Event object.
fn of_event(found: &Found) -> Message {
    let event = &found.object;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = event["message"].as_str().or_else(|| event["note"].as_str()).unwrap_or_default();
    let mut message = blank(found.item, 1, Speaker::Event, level(&text(&event["type"])), words);
    message.reason = text(&event["reason"]);
    message.count = event["series"]["count"].as_u64().or_else(|| event["count"].as_u64()).unwrap_or(1);
    message.node = text(&event["source"]["host"]);
    let subject = if event["involvedObject"].is_object() { &event["involvedObject"] } else { &event["regarding"] };
    match subject["kind"].as_str() {
        Some("Pod") => message.pod = (text(&subject["namespace"]), text(&subject["name"])),
        Some("Node") => message.node = text(&subject["name"]),
        _ => {}
    }
    message
}

/// Fills pods and nodes in from `Successfully assigned NAMESPACE/POD to NODE`.
pub(super) fn assigned(messages: &mut [Message]) {
    let mut nodes: HashMap<(String, String), (String, String, String)> = HashMap::new();
    for message in messages.iter().filter(|message| message.speaker == Speaker::Event && message.reason == "Scheduled")
    {
        let told = message.text.strip_prefix("Successfully assigned ").and_then(|rest| rest.split_once(" to "));
        if let Some(((namespace, name), node)) = told.and_then(|(pod, node)| Some((pod.split_once('/')?, node))) {
            let node = node.trim().to_owned();
            nodes.insert(message.pod.clone(), (namespace.to_owned(), name.to_owned(), node));
        }
    }
    for message in messages.iter_mut().filter(|message| message.speaker == Speaker::Event) {
        let Some((namespace, name, node)) = nodes.get(&message.pod) else { continue };
        if message.node.is_empty() {
            message.node.clone_from(node);
        }
        if message.pod.1.is_empty() {
            message.pod = (namespace.clone(), name.clone());
        }
    }
}

/// Pods that are ready: namespace and name.
pub(super) type Ready<'a> = HashSet<(&'a str, &'a str)>;

/// A pod whose container is restarted is Ready in between: only after this many seconds without a word it is over.
const QUIET: u64 = 120;

fn restarts_still(message: &Message) -> bool {
    let words = ["Liveness probe failed", "Startup probe failed", "will be restarted", "Back-off restarting"];
    message.age.is_some_and(|age| age < QUIET) && words.iter().any(|word| message.text.contains(word))
}

/// The pause before a restart never grows beyond five minutes: what is older than this is not going on.
const OLD: u64 = 600;

/// Marks what is over because `kubectl get pods` shows the pod well, and nothing was said of it lately.
pub(super) fn settle_by_rows(messages: &mut [Message], rows: &[PodRow]) {
    let mut well: HashMap<&str, Vec<Option<&str>>> = HashMap::new();
    for row in rows.iter().filter(|row| row.is_well()) {
        well.entry(&row.name).or_default().push(row.namespace.as_deref());
    }
    for message in messages.iter_mut().filter(|message| message.speaker == Speaker::Event && !message.over) {
        let (namespace, name) = &message.pod;
        let same = |told: &Option<&str>| told.is_none_or(|told| namespace.is_empty() || told == namespace);
        let is_well = well.get(name.as_str()).is_some_and(|told| told.iter().any(same));
        message.over = is_well && message.age.is_some_and(|age| age >= OLD);
    }
}

/// Marks what is over: the pod is ready, or a later event shows that the step went well.
pub(super) fn settle(messages: &mut [Message], ready: &Ready<'_>) {
    let mut good: HashMap<((String, String), String), (u64, u32)> = HashMap::new();
    for message in messages.iter() {
        if message.speaker == Speaker::Event
            && message.level == Level::Quiet
            && let Some(age) = message.age
        {
            let found = (age, message.line);
            let newest = good.entry((message.pod.clone(), message.reason.clone())).or_insert(found);
            if age <= newest.0 {
                *newest = found;
            }
        }
    }
    for message in messages.iter_mut().filter(|message| message.speaker == Speaker::Event) {
        let is_ready = !message.pod.1.is_empty() && ready.contains(&(message.pod.0.as_str(), message.pod.1.as_str()));
        let cures: &[&str] = match message.reason.as_str() {
            "FailedScheduling" => &["Scheduled"],
            "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox" | "NetworkNotReady" => {
                &["Pulling", "Pulled", "Created", "Started"]
            }
            "Failed" | "ErrImagePull" | "ImagePullBackOff" | "FailedToRetrieveImagePullSecret" | "InspectFailed" => {
                &["Pulled", "Started"]
            }
            _ => &[],
        };
        let cured = cures.iter().any(|cure| {
            let went_well = good.get(&(message.pod.clone(), (*cure).to_owned()));
            // Of the same age: what stands below happened later.
            went_well
                .zip(message.age)
                .is_some_and(|((good, line), failed)| *good < failed || (*good == failed && *line > message.line))
        });
        message.over = is_ready && !restarts_still(message) || cured;
    }
}
