//! What becomes of pods on a simulated node.

use std::collections::HashSet;
use std::time::Duration;

use api::{Plan, Subresource, View};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus, HostIP, Node, Pod,
    PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::workload::meta::Meta;
use kinds::workload::{change, pods};
use serde_json::json;

use super::{COMPLETE_AFTER, FAIL_AFTER};

/// Starts, ends and removes the pods of a node.
pub fn run(node: &Node, on_node: &[&Pod], view: &View, plan: &mut Plan) {
    let mut taken: HashSet<String> = on_node.iter().filter_map(|pod| pod_ip(pod)).map(str::to_owned).collect();
    for pod in on_node {
        if pod.deleting() {
            // Held by a finalizer, the pod is stopped already and goes when the finalizer does.
            if pod.metadata.deletion_grace_period_seconds != Some(0) {
                plan.push(change::delete(*pod, view, Some(0)), "it has stopped");
            }
        } else if pods::finished(pod) {
            // Nothing happens to it any more.
        } else if pods::phase(pod) != "Running" || !pods::ready(pod) {
            let ip = if host_network(pod) { host_ip(node) } else { free_ip(node, &mut taken) };
            start(node, pod, ip, view, plan);
        } else {
            end(pod, view, plan);
        }
    }
}

fn pod_ip(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref()
}

fn host_network(pod: &Pod) -> bool {
    pods::spec(pod).is_some_and(|spec| spec.host_network == Some(true))
}

/// A number that tells simulated nodes apart: the one at the end of the name, or one made of the name.
fn number(node: &Node) -> u32 {
    let digits = node.name().rsplit('-').next().and_then(|digits| digits.parse().ok());
    digits.unwrap_or_else(|| node.name().bytes().fold(7, |sum, byte| (sum * 31 + u32::from(byte)) % 65_521)) % 65_536
}

/// The address of a node, from the block that is set aside for benchmarks (RFC 2544).
pub fn host_ip(node: &Node) -> String {
    let number = number(node);
    format!("198.{}.{}.{}", 18 + (number >> 15 & 1), number >> 8 & 127, number & 255)
}

/// An address that no pod of the node has: from the node's pod network, or from one of its own.
fn free_ip(node: &Node, taken: &mut HashSet<String>) -> String {
    let cidr = node.spec.as_ref().and_then(|spec| spec.pod_cidr.as_deref()).unwrap_or_default();
    let prefix = match cidr.rsplit_once('.') {
        Some((prefix, _)) if cidr.ends_with("/24") => prefix.to_owned(),
        _ => format!("100.{}.{}", 64 + (number(node) >> 8 & 63), number(node) & 255),
    };
    let free = (2..255_u32).map(|host| format!("{prefix}.{host}")).find(|ip| !taken.contains(ip));
    let ip = free.unwrap_or_else(|| format!("{prefix}.255"));
    taken.insert(ip.clone());
    ip
}

fn start(node: &Node, pod: &Pod, ip: String, view: &View, plan: &mut Plan) {
    let now = view.now();
    let spec = pod.spec.clone().unwrap_or_default();
    let before = pod.status.clone().unwrap_or_default();
    let ip = before.pod_ip.clone().unwrap_or(ip);
    let running = |container: &Container| {
        let state = ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(now)) }),
            ..ContainerState::default()
        };
        ContainerStatus { ready: true, started: Some(true), state: Some(state), ..container_status(container, pod) }
    };
    let over = |container: &Container| {
        if container.restart_policy.as_deref() == Some("Always") {
            return running(container);
        }
        ContainerStatus {
            ready: true,
            started: Some(false),
            state: Some(ended(0, now)),
            ..container_status(container, pod)
        }
    };
    let host_ip = host_ip(node);
    let status = PodStatus {
        phase: Some("Running".to_owned()),
        start_time: before.start_time.clone().or(Some(Time(now))),
        host_ips: Some(vec![HostIP { ip: host_ip.clone() }]),
        host_ip: Some(host_ip),
        pod_ips: Some(vec![PodIP { ip: ip.clone() }]),
        pod_ip: Some(ip),
        container_statuses: Some(spec.containers.iter().map(running).collect()),
        init_container_statuses: spec.init_containers.as_ref().map(|list| list.iter().map(over).collect()),
        conditions: Some(conditions(pod, "True", now)),
        ..PodStatus::default()
    };
    plan.push(change::patch(pod, view, Subresource::Status, json!({ "status": status })), "it runs");
}

fn end(pod: &Pod, view: &View, plan: &mut Plan) {
    let Some(started) = pod.status.as_ref().and_then(|status| status.start_time.as_ref()) else { return };
    let (exit_code, after) = match (duration(pod, COMPLETE_AFTER), duration(pod, FAIL_AFTER)) {
        (_, Some(after)) => (1, after),
        (Some(after), None) => (0, after),
        (None, None) => return,
    };
    let due = started.0.checked_add(after).unwrap_or(Timestamp::MAX);
    if view.now() < due {
        plan.wake_at(due);
        return;
    }
    let spec = pod.spec.clone().unwrap_or_default();
    let over = |container: &Container| ContainerStatus {
        started: Some(false),
        state: Some(ended(exit_code, view.now())),
        ..container_status(container, pod)
    };
    let status = PodStatus {
        phase: Some(if exit_code == 0 { "Succeeded" } else { "Failed" }.to_owned()),
        container_statuses: Some(spec.containers.iter().map(over).collect()),
        conditions: Some(conditions(pod, "False", view.now())),
        ..PodStatus::default()
    };
    plan.push(change::patch(pod, view, Subresource::Status, json!({ "status": status })), "its time is over");
}

fn duration(pod: &Pod, annotation: &str) -> Option<SignedDuration> {
    let text = pod.annotation(annotation)?;
    let duration: SignedDuration = text.parse().ok()?;
    Duration::try_from(duration).ok().map(|_| duration)
}

fn ended(exit_code: i32, now: Timestamp) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code,
            reason: Some(if exit_code == 0 { "Completed" } else { "Error" }.to_owned()),
            finished_at: Some(Time(now)),
            started_at: Some(Time(now)),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

fn container_status(container: &Container, pod: &Pod) -> ContainerStatus {
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        image_id: container.image.clone().unwrap_or_default(),
        container_id: Some(format!("simulated://{}/{}", pod.uid(), container.name)),
        ..ContainerStatus::default()
    }
}

fn conditions(pod: &Pod, ready: &str, now: Timestamp) -> Vec<PodCondition> {
    let before = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let own =
        [("PodReadyToStartContainers", ready), ("Initialized", "True"), ("Ready", ready), ("ContainersReady", ready)];
    let kept = before.iter().filter(|one| !own.iter().any(|(kind, _)| *kind == one.type_)).cloned();
    let own = own.iter().map(|(kind, value)| {
        let same = before.iter().find(|one| one.type_ == *kind && one.status == *value);
        same.cloned().unwrap_or_else(|| PodCondition {
            type_: (*kind).to_owned(),
            status: (*value).to_owned(),
            reason: (*value == "False").then(|| "PodCompleted".to_owned()),
            last_transition_time: Some(Time(now)),
            ..PodCondition::default()
        })
    });
    kept.chain(own).collect()
}
