//! Pods, read from JSON or from `kubectl describe`.

use jiff::Timestamp;
use serde_json::Value;

use super::objects::Found;
use crate::evidence::{Item, ItemKind};

/// What is known about a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Number of the item it was read from.
    pub item: usize,
    /// Namespace; empty when not told.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Node; empty when not scheduled or not told.
    pub node: String,
    /// `Running`, `Pending`, …
    pub phase: String,
    /// Its Ready condition, if told.
    pub ready: Option<bool>,
    /// Why it is in its phase, such as `Evicted`, and in which words.
    pub reason: String,
    /// The words beside that.
    pub message: String,
    /// Why the scheduler finds no node for it.
    pub unschedulable: String,
    /// Kind of its controller, such as `Job`; empty when not told.
    pub owner: String,
    /// Its containers, init containers first.
    pub containers: Vec<Container>,
    /// Names of its pull secrets.
    pub pull_secrets: Vec<String>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image as written in the pod.
    pub image: String,
    /// Why it waits: `ImagePullBackOff`, `CrashLoopBackOff`, …
    pub waiting: String,
    /// The message beside that.
    pub message: String,
    /// How it ended last, or ended now.
    pub ended: Option<Ended>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was restarted.
    pub restarts: u64,
    /// Memory limit as written.
    pub memory_limit: String,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// `OOMKilled`, `Error`, `Completed`, …
    pub reason: String,
    /// The runtime's words.
    pub message: String,
    /// Exit code.
    pub exit_code: i64,
    /// How many seconds before the newest time in the evidence, if that is told.
    pub ago: Option<i64>,
}

pub(crate) fn read(items: &[Item], objects: &[Found]) -> Vec<Pod> {
    let now = newest(objects);
    let mut pods: Vec<Pod> = objects.iter().filter(|found| is_pod(found)).map(|found| of_json(found, now)).collect();
    for (number, item) in items.iter().enumerate() {
        if matches!(item.kind, ItemKind::PodEvents | ItemKind::Text | ItemKind::KubectlOutput) {
            pods.extend(described(number, &item.text).or_else(|| cutting(number, &item.text)));
        }
    }
    pods
}

/// The newest time that pods and events tell of: about when they were looked at.
fn newest(objects: &[Found]) -> Option<Timestamp> {
    let mut newest = None;
    for found in objects {
        let object = &found.object;
        match found.kind() {
            "Event" => {
                newest = newest.max(time(&object["lastTimestamp"])).max(time(&object["series"]["lastObservedTime"]))
            }
            "Pod" => {
                for status in object["status"]["containerStatuses"].as_array().into_iter().flatten() {
                    newest = newest.max(time(&status["state"]["running"]["startedAt"]));
                    newest = newest.max(time(&status["state"]["terminated"]["finishedAt"]));
                    newest = newest.max(time(&status["lastState"]["terminated"]["finishedAt"]));
                }
            }
            _ => {}
        }
    }
    newest
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn is_pod(found: &Found) -> bool {
    found.kind() == "Pod"
}

fn of_json(found: &Found, now: Option<Timestamp>) -> Pod {
    let pod = &found.object;
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut containers = Vec::new();
    for (specs, statuses) in [("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")] {
        for container in spec[specs].as_array().into_iter().flatten() {
            let found = status[statuses].as_array().into_iter().flatten().find(|one| one["name"] == container["name"]);
            containers.push(of_status(container, found.unwrap_or(&Value::Null), now));
        }
    }
    let condition = |name: &str| status["conditions"].as_array()?.iter().find(|one| one["type"] == name);
    let ready = condition("Ready").map(|one| one["status"] == "True");
    let unschedulable = condition("PodScheduled").filter(|one| one["status"] == "False");
    let secrets = spec["imagePullSecrets"].as_array().into_iter().flatten();
    Pod {
        item: found.item,
        namespace: found.namespace().to_owned(),
        name: found.name().to_owned(),
        node: text(&spec["nodeName"]),
        phase: text(&status["phase"]),
        ready,
        reason: text(&status["reason"]),
        message: text(&status["message"]),
        unschedulable: unschedulable.map(|one| text(&one["message"])).unwrap_or_default(),
        owner: text(&pod["metadata"]["ownerReferences"][0]["kind"]),
        containers,
        pull_secrets: secrets.map(|secret| text(&secret["name"])).collect(),
    }
}

fn of_status(spec: &Value, status: &Value, now: Option<Timestamp>) -> Container {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let waiting = &status["state"]["waiting"];
    let ended = [&status["state"]["terminated"], &status["lastState"]["terminated"]];
    let ended = ended.into_iter().find(|state| state.is_object()).map(|state| Ended {
        reason: text(&state["reason"]),
        message: text(&state["message"]),
        exit_code: state["exitCode"].as_i64().unwrap_or_default(),
        ago: now.zip(time(&state["finishedAt"])).map(|(now, finished)| now.as_second() - finished.as_second()),
    });
    Container {
        name: text(&spec["name"]),
        image: text(&spec["image"]),
        waiting: text(&waiting["reason"]),
        message: text(&waiting["message"]),
        ended,
        ready: status["ready"] == true,
        restarts: status["restartCount"].as_u64().unwrap_or_default(),
        memory_limit: text(&spec["resources"]["limits"]["memory"]),
    }
}

/// A pod as `kubectl describe pod` prints it.
fn described(number: usize, text: &str) -> Option<Pod> {
    let mut pod = Pod { item: number, ..Pod::default() };
    let (mut section, mut state) = (String::new(), String::new());
    let mut seen = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let (key, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        let value = value.trim();
        if indent == 0 {
            section = key.to_owned();
            match key {
                "Name" => pod.name = value.to_owned(),
                "Namespace" => pod.namespace = value.to_owned(),
                "Node" => pod.node = value.split('/').next().unwrap_or_default().replace("<none>", ""),
                "Status" => pod.phase = value.to_owned(),
                "Reason" => pod.reason = value.to_owned(),
                "Message" => pod.message = value.to_owned(),
                "Controlled By" => pod.owner = value.split('/').next().unwrap_or_default().to_owned(),
                "Containers" => seen = true,
                "Events" => break,
                _ => {}
            }
            continue;
        }
        match section.as_str() {
            "Containers" | "Init Containers" if indent == 2 => {
                pod.containers.push(Container { name: key.to_owned(), ..Container::default() });
            }
            "Containers" | "Init Containers" => {
                if let Some(container) = pod.containers.last_mut() {
                    described_container(container, &mut state, indent, key, value);
                }
            }
            "Conditions" if line.trim().starts_with("Ready ") => pod.ready = Some(line.trim().ends_with("True")),
            _ => {}
        }
    }
    (seen && !pod.name.is_empty()).then_some(pod)
}

/// A container's state, cut out of a description: a pod without a name.
fn cutting(number: usize, text: &str) -> Option<Pod> {
    let is_state = |line: &str| {
        let state = line.trim_start().strip_prefix("Last State:").or_else(|| line.trim_start().strip_prefix("State:"));
        state.is_some_and(|state| matches!(state.trim(), "Running" | "Waiting" | "Terminated"))
    };
    let from = text.lines().position(is_state)?;
    let outer = text.lines().nth(from).map(|line| line.len() - line.trim_start().len())?;
    let mut container = Container::default();
    let mut state = String::new();
    for line in
        text.lines().skip(from).take_while(|line| !line.starts_with("Conditions:") && !line.starts_with("Events:"))
    {
        let indent = line.len() - line.trim_start().len();
        let (key, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        described_container(&mut container, &mut state, if indent <= outer { 4 } else { 6 }, key, value.trim());
    }
    container.ended.is_some().then(|| Pod { item: number, containers: vec![container], ..Pod::default() })
}

fn described_container(container: &mut Container, state: &mut String, indent: usize, key: &str, value: &str) {
    if indent == 4 {
        *state = key.to_owned();
    }
    match (state.as_str(), key) {
        (_, "Image") => container.image = value.to_owned(),
        (_, "Ready") => container.ready = value == "True",
        (_, "Restart Count") => container.restarts = value.parse().unwrap_or_default(),
        ("State" | "Last State", "State" | "Last State") if value == "Terminated" => {
            container.ended.get_or_insert_default();
        }
        ("State", "Reason") if container.ended.is_none() => container.waiting = value.to_owned(),
        ("State", "Message") if container.ended.is_none() => container.message = value.to_owned(),
        ("State" | "Last State", "Reason") => container.ended.get_or_insert_default().reason = value.to_owned(),
        ("State" | "Last State", "Message") => container.ended.get_or_insert_default().message = value.to_owned(),
        ("State" | "Last State", "Exit Code") => {
            container.ended.get_or_insert_default().exit_code = value.parse().unwrap_or_default();
        }
        ("Limits", "memory") => container.memory_limit = value.to_owned(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_described_pod() {
        let text = "Name:             web-1\nNamespace:        shop\nNode:             w1/10.0.0.1\nStatus:           Running\nContainers:\n  web:\n    Image:          a/b:1\n    State:          Waiting\n      Reason:       CrashLoopBackOff\n    Last State:     Terminated\n      Reason:       OOMKilled\n      Exit Code:    137\n    Ready:          False\n    Restart Count:  4\n    Limits:\n      memory:  64Mi\nConditions:\n  Type              Status\n  Ready             False \n  PodScheduled      True\nEvents:  <none>\n";
        let pod = described(3, text).unwrap();
        assert_eq!((pod.namespace.as_str(), pod.name.as_str(), pod.node.as_str()), ("shop", "web-1", "w1"));
        assert_eq!(pod.ready, Some(false));
        let container = &pod.containers[0];
        assert_eq!((container.image.as_str(), container.waiting.as_str()), ("a/b:1", "CrashLoopBackOff"));
        assert_eq!(container.ended.as_ref().unwrap().reason, "OOMKilled");
        assert_eq!((container.restarts, container.memory_limit.as_str()), (4, "64Mi"));
        assert_eq!(described(0, "no pod"), None);
    }
}
