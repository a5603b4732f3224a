//! What a simulated node says about itself: its lease, its size, that it is well.

use std::collections::BTreeMap;

use api::{Plan, Subresource, View};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time};
use kinds::workload::meta::Meta;
use kinds::workload::{change, pods};
use serde_json::json;

/// Architecture that simulated nodes say they have: that of the machine.
pub const ARCH: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

const LEASES: &str = "kube-node-lease";
/// How often the lease is renewed, in seconds. Half the time after which a node counts as gone.
const RENEW_SECONDS: i64 = 25;
/// What the lease says about itself, in seconds.
const LEASE_SECONDS: i32 = 50;

/// What the node has, unless somebody gave it another size.
const CAPACITY: &[(&str, &str)] = &[("cpu", "32"), ("memory", "256Gi"), ("ephemeral-storage", "1Ti"), ("pods", "110")];

const CONDITIONS: &[(&str, &str, &str, &str)] = &[
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "the node is simulated"),
];

/// Renews the lease and says that the node is well, where that is not so already.
pub fn keep_alive(node: &Node, view: &View, plan: &mut Plan) {
    let stored = view.get::<Lease>(LEASES, node.name());
    let renewed = stored.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref()).map(|time| time.0);
    let due = renewed.map(|renewed| pods::later(renewed, RENEW_SECONDS));
    match (stored, due.filter(|due| *due > view.now())) {
        (_, Some(due)) => plan.wake_at(due),
        (Some(lease), None) => {
            let patch = json!({ "spec": { "renewTime": MicroTime(view.now()) } });
            plan.push(change::patch(lease, view, Subresource::Main, patch), "the node is alive");
            plan.wake_at(pods::later(view.now(), RENEW_SECONDS));
        }
        (None, None) => {
            plan.create(&lease(node, view), "the node is alive");
            plan.wake_at(pods::later(view.now(), RENEW_SECONDS));
        }
    }
    let well = |(kind, status, ..): &(&str, &str, &str, &str)| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == *kind && condition.status == *status)
    };
    if !CONDITIONS.iter().all(well) {
        let status = status(node, view);
        plan.update_status(&Node { status: Some(status), ..node.clone() }, "the node is well");
    }
}

fn lease(node: &Node, view: &View) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(node.name().to_owned()),
            namespace: Some(LEASES.to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: node.name().to_owned(),
                uid: node.uid().to_owned(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(node.name().to_owned()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(MicroTime(view.now())),
            ..LeaseSpec::default()
        }),
    }
}

fn status(node: &Node, view: &View) -> NodeStatus {
    let mut status = node.status.clone().unwrap_or_default();
    let mut capacity: BTreeMap<String, Quantity> = status.capacity.unwrap_or_default();
    for (name, amount) in CAPACITY {
        capacity.entry((*name).to_owned()).or_insert_with(|| Quantity((*amount).to_owned()));
    }
    status.allocatable = status.allocatable.or_else(|| Some(capacity.clone()));
    status.capacity = Some(capacity);
    let address = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
    status.addresses =
        Some(vec![address("InternalIP", super::pods::host_ip(node)), address("Hostname", node.name().to_owned())]);
    status.node_info = Some(NodeSystemInfo {
        architecture: ARCH.to_owned(),
        operating_system: "linux".to_owned(),
        os_image: "simulated".to_owned(),
        container_runtime_version: "simulated://1".to_owned(),
        kernel_version: "simulated".to_owned(),
        kubelet_version: "v1.37.0".to_owned(),
        kube_proxy_version: "v1.37.0".to_owned(),
        machine_id: node.uid().to_owned(),
        system_uuid: node.uid().to_owned(),
        boot_id: node.uid().to_owned(),
        ..NodeSystemInfo::default()
    });
    let before = status.conditions.take().unwrap_or_default();
    let now = || Some(Time(view.now()));
    let kept = before.iter().filter(|one| !CONDITIONS.iter().any(|(kind, ..)| *kind == one.type_)).cloned();
    let own = CONDITIONS.iter().map(|(kind, value, reason, message)| {
        let same = before.iter().find(|one| one.type_ == *kind && one.status == *value);
        NodeCondition {
            type_: (*kind).to_owned(),
            status: (*value).to_owned(),
            reason: Some((*reason).to_owned()),
            message: Some((*message).to_owned()),
            last_heartbeat_time: now(),
            last_transition_time: same.and_then(|one| one.last_transition_time.clone()).or_else(now),
        }
    });
    status.conditions = Some(kept.chain(own).collect());
    status
}
