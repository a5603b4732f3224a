//! The table of pods: one word for the state of everything in a pod.

use api::{Column, Row};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use serde_json::Value;

use crate::table::{self, NONE, age, name, string, text_or, wide};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<Pod>] = &[
    name(),
    string("Ready", |pod, _| {
        let summary = summarize(pod);
        Value::from(format!("{}/{}", summary.ready, summary.total))
    }),
    string("Status", |pod, _| Value::from(summarize(pod).reason)),
    string("Restarts", restarts),
    age(),
    wide(string("IP", |pod, _| {
        let first = pod.status.as_ref().and_then(|status| status.pod_ips.as_ref()).and_then(|ips| ips.first());
        text_or(&first.map(|address| address.ip.clone()), NONE)
    })),
    wide(string("Node", |pod, _| text_or(&pod.spec.as_ref().and_then(|spec| spec.node_name.clone()), NONE))),
    wide(string("Nominated Node", |pod, _| {
        text_or(&pod.status.as_ref().and_then(|status| status.nominated_node_name.clone()), NONE)
    })),
    wide(string("Readiness Gates", readiness_gates)),
];

/// What `kubectl get pods` says about a pod.
pub struct Summary {
    /// One word, for example `Running`, `Init:0/1` or `CrashLoopBackOff`.
    pub reason: String,
    /// Containers that are ready, sidecars included.
    pub ready: usize,
    /// All such containers.
    pub total: usize,
    /// How often they were started again.
    pub restarts: i32,
    /// When the last of them ended.
    pub last_restart: Option<Timestamp>,
}

/// Sums a pod up.
pub fn summarize(pod: &Pod) -> Summary {
    let absent = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&absent);
    let mut reason = [&status.reason, &status.phase]
        .into_iter()
        .flatten()
        .find(|text| !text.is_empty())
        .cloned()
        .unwrap_or_default();
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let condition = |kind: &str| conditions.iter().any(|one| one.type_ == kind && one.status == "True");
    let gated = |reason: &Option<String>| reason.as_deref() == Some("SchedulingGated");
    if conditions.iter().any(|one| one.type_ == "PodScheduled" && gated(&one.reason)) {
        "SchedulingGated".clone_into(&mut reason);
    }
    let mut init = InitContainers::of(pod, status);
    if let Some(blocking) = init.blocking.take() {
        reason = blocking;
    }
    let mut summary = Summary {
        reason,
        ready: init.ready,
        total: init.total,
        restarts: init.restarts,
        last_restart: init.last_restart,
    };
    if !init.initializing || condition("Initialized") {
        summary.restarts = init.sidecar_restarts;
        summary.last_restart = init.last_sidecar_restart;
        regular(status, condition("Ready"), &mut summary);
    }
    let phase = status.phase.as_deref().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() {
        if status.reason.as_deref() == Some("NodeLost") {
            "Unknown".clone_into(&mut summary.reason);
        } else if !["Succeeded", "Failed"].contains(&phase) {
            "Terminating".clone_into(&mut summary.reason);
        }
    }
    summary
}

/// What the init containers contribute, sidecars among them.
#[derive(Default)]
struct InitContainers {
    initializing: bool,
    /// What keeps the pod from being initialized.
    blocking: Option<String>,
    ready: usize,
    total: usize,
    restarts: i32,
    last_restart: Option<Timestamp>,
    sidecar_restarts: i32,
    last_sidecar_restart: Option<Timestamp>,
}

impl InitContainers {
    fn of(pod: &Pod, status: &PodStatus) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let containers = spec.init_containers.unwrap_or_default();
        let sidecar = |name: &str| {
            let of_name = |container: &&k8s_openapi::api::core::v1::Container| container.name == name;
            containers.iter().find(of_name).and_then(|container| container.restart_policy.as_deref()) == Some("Always")
        };
        let sidecars = containers.iter().filter(|container| sidecar(&container.name)).count();
        let mut this = Self { total: spec.containers.len() + sidecars, ..Self::default() };
        for (index, status) in status.init_container_statuses.iter().flatten().enumerate() {
            let ended = last_end(status);
            this.restarts += status.restart_count;
            this.last_restart = this.last_restart.max(ended);
            let sidecar = sidecar(&status.name);
            if sidecar {
                this.sidecar_restarts += status.restart_count;
                this.last_sidecar_restart = this.last_sidecar_restart.max(ended);
            }
            let state = status.state.clone().unwrap_or_default();
            let waiting = state.waiting.and_then(|waiting| waiting.reason).filter(|reason| !reason.is_empty());
            let blocking = match (state.terminated, waiting) {
                (Some(terminated), _) if terminated.exit_code == 0 => continue,
                _ if sidecar && status.started == Some(true) => {
                    this.ready += usize::from(status.ready);
                    continue;
                }
                (Some(terminated), _) => ending(&terminated),
                (None, Some(reason)) if reason != "PodInitializing" => reason,
                (None, _) => format!("{index}/{}", containers.len()),
            };
            this.blocking = Some(format!("Init:{blocking}"));
            this.initializing = true;
            break;
        }
        this
    }
}

/// Why a container ended, in one word.
fn ending(terminated: &ContainerStateTerminated) -> String {
    match (terminated.reason.as_deref().unwrap_or_default(), terminated.signal.unwrap_or_default()) {
        ("", 0) => format!("ExitCode:{}", terminated.exit_code),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn last_end(status: &ContainerStatus) -> Option<Timestamp> {
    Some(status.last_state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0)
}

fn regular(status: &PodStatus, ready: bool, summary: &mut Summary) {
    let mut running = false;
    for status in status.container_statuses.iter().flatten().rev() {
        summary.restarts += status.restart_count;
        summary.last_restart = summary.last_restart.max(last_end(status));
        let ContainerState { waiting, terminated, running: runs } = status.state.clone().unwrap_or_default();
        let waiting = waiting.and_then(|waiting| waiting.reason).filter(|reason| !reason.is_empty());
        if let Some(reason) = waiting {
            summary.reason = reason;
        } else if let Some(terminated) = terminated {
            summary.reason = ending(&terminated);
        } else if status.ready && runs.is_some() {
            running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" && running {
        summary.reason = if ready { "Running" } else { "NotReady" }.to_owned();
    }
}

fn restarts(pod: &Pod, row: Row) -> Value {
    let summary = summarize(pod);
    match (summary.restarts, summary.last_restart) {
        (0, _) | (_, None) => Value::from(summary.restarts.to_string()),
        (restarts, last) => Value::from(format!("{restarts} ({} ago)", table::since(last, row))),
    }
}

fn readiness_gates(pod: &Pod, _: Row) -> Value {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    if gates.is_empty() {
        return Value::from(NONE);
    }
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let passed = gates.iter().filter(|gate| {
        let of_gate = conditions.iter().find(|condition| condition.type_ == gate.condition_type);
        of_gate.is_some_and(|condition| condition.status == "True")
    });
    Value::from(format!("{}/{}", passed.count(), gates.len()))
}
