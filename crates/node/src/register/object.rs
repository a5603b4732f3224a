//! The Node object: a pure function of the machine and of what was measured.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node as NodeObject, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec,
    NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::config::{Config, KUBELET_PORT};
use crate::register::machine::Machine;

/// The Kubernetes version whose kubelet this node behaves like.
const KUBELET_VERSION: &str = "v1.37.0";
/// Kubernetes shows so many images.
const IMAGES: usize = 50;

/// What changes while a node runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured {
    /// `containerd://VERSION`.
    pub runtime_version: String,
    /// Why pods cannot run, if so.
    pub not_ready: Option<String>,
    pub disk_pressure: bool,
    pub memory_pressure: bool,
    pub pid_pressure: bool,
    /// Names and sizes.
    pub images: Vec<(Vec<String>, u64)>,
}

/// The object to create.
pub(super) fn node(config: &Config, machine: &Machine) -> NodeObject {
    let annotation = "volumes.kubernetes.io/controller-managed-attach-detach";
    NodeObject {
        metadata: ObjectMeta {
            name: Some(config.node_name.clone()),
            labels: Some(labels(config, machine)),
            annotations: Some([(annotation.to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidr: Some(config.pod_cidr.clone()),
            pod_cidrs: Some(vec![config.pod_cidr.clone()]),
            ..NodeSpec::default()
        }),
        status: None,
    }
}

/// The labels that a node gives itself.
pub(super) fn labels(config: &Config, machine: &Machine) -> BTreeMap<String, String> {
    let mut labels = config.labels.clone();
    for (key, value) in [
        ("beta.kubernetes.io/arch", machine.architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", machine.architecture),
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// The status to report; `old` has the times at which conditions changed.
pub(super) fn status(
    config: &Config,
    machine: &Machine,
    measured: &Measured,
    old: &[NodeCondition],
    now: Timestamp,
) -> NodeStatus {
    let amounts = |list: &BTreeMap<String, String>| {
        Some(list.iter().map(|(resource, amount)| (resource.clone(), Quantity(amount.clone()))).collect())
    };
    let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", config.node_ip.to_string()),
            address("Hostname", config.node_name.clone()),
        ]),
        capacity: amounts(&machine.capacity),
        allocatable: amounts(&machine.allocatable),
        conditions: Some(conditions(measured, old, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: KUBELET_PORT.into() }),
        }),
        images: Some(images(&measured.images)),
        node_info: Some(NodeSystemInfo {
            architecture: machine.architecture.to_owned(),
            boot_id: machine.boot_id.clone(),
            container_runtime_version: measured.runtime_version.clone(),
            kernel_version: machine.kernel.clone(),
            kubelet_version: KUBELET_VERSION.to_owned(),
            machine_id: machine.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: machine.os_image.clone(),
            system_uuid: machine.system_uuid.clone(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

fn images(images: &[(Vec<String>, u64)]) -> Vec<ContainerImage> {
    let mut sorted: Vec<_> = images.iter().collect();
    sorted.sort_by_key(|(names, size)| (std::cmp::Reverse(*size), names.clone()));
    let image = |(names, size): &(Vec<String>, u64)| ContainerImage {
        names: Some(names.clone()),
        size_bytes: i64::try_from(*size).ok(),
    };
    sorted.into_iter().take(IMAGES).map(image).collect()
}

fn conditions(measured: &Measured, old: &[NodeCondition], now: Timestamp) -> Vec<NodeCondition> {
    let pressure = |has: bool, good: (&'static str, &'static str), bad: (&'static str, &'static str)| {
        let (reason, message) = if has { bad } else { good };
        (has, reason, message.to_owned())
    };
    let ready = match &measured.not_ready {
        None => (true, "KubeletReady", "kubelet is posting ready status".to_owned()),
        Some(problem) => (false, "KubeletNotReady", problem.clone()),
    };
    let all = [
        ("NetworkUnavailable", (false, "RouteCreated", "the sandbox made the routes of this node".to_owned())),
        (
            "MemoryPressure",
            pressure(
                measured.memory_pressure,
                ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ),
        ),
        (
            "DiskPressure",
            pressure(
                measured.disk_pressure,
                ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ),
        ),
        (
            "PIDPressure",
            pressure(
                measured.pid_pressure,
                ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            ),
        ),
        ("Ready", ready),
    ];
    let condition = |(type_, (holds, reason, message)): (&str, (bool, &str, String))| {
        let status = if holds { "True" } else { "False" };
        let same = old.iter().find(|old| old.type_ == type_ && old.status == status);
        NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: same.and_then(|same| same.last_transition_time.clone()).or(Some(Time(now))),
        }
    };
    all.into_iter().map(condition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_keep_the_time_of_their_last_change() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = conditions(&Measured::default(), &[], at(1));
        let measured = Measured { not_ready: Some("x".to_owned()), ..Measured::default() };
        let second = conditions(&measured, &first, at(2));
        let since = |type_: &str| {
            let condition = second.iter().find(|condition| condition.type_ == type_).unwrap();
            (condition.status.as_str(), condition.last_transition_time.as_ref().unwrap().0.as_second())
        };
        assert_eq!(since("DiskPressure"), ("False", 1));
        assert_eq!(since("Ready"), ("False", 2));
    }
}
