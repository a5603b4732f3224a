//! Whether the node takes a pod that was given to it.
//!
//! The scheduler has checked most of this, but from a view that may be old, and `spec.nodeName` can be
//! set by anyone. A pod that is refused is Failed, so its controller makes another one.
//!
//! Deliberately absent: node selectors and taints; a pod that names its node gets it.

use api::Quantity;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::env::fields::Allocatable;
use crate::pod::members::{self, Class};
use crate::pod::memory::Verdict;
use crate::pod::qos;

/// Sysctls that cannot disturb other pods; Kubernetes' own list.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// What a node has for pods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub allocatable: Allocatable,
    pub n_pods: i64,
}

/// Refuses a pod that cannot run beside the others.
pub(crate) fn admit(pod: &PodSpec, others: &[&PodSpec], room: &Room) -> Result<(), Verdict> {
    let refused = |reason: &str, message: String| {
        let message = format!("Pod was rejected: {message}");
        Err(Verdict { reason: reason.to_owned(), message, grace: Some(0) })
    };
    if let Some(os) = pod.os.as_ref().filter(|os| os.name != "linux") {
        return refused(
            "PodOSNotSupported",
            format!("Failed to admit pod as the OS field doesn't match node OS: {}", os.name),
        );
    }
    let sysctls = pod.security_context.as_ref().and_then(|context| context.sysctls.as_ref());
    for sysctl in sysctls.into_iter().flatten() {
        if !SAFE_SYSCTLS.contains(&sysctl.name.replace('/', ".").as_str()) {
            return refused("SysctlForbidden", format!("forbidden sysctl: {:?} not allowlisted", sysctl.name));
        }
    }
    let taken: Vec<_> = others.iter().flat_map(|other| host_ports(other)).collect();
    if host_ports(pod).iter().any(|port| taken.iter().any(|other| clash(port, other))) {
        return refused("NodePorts", "Predicate NodePorts failed".to_owned());
    }
    let n_pods = i64::try_from(others.len()).unwrap_or(i64::MAX);
    let short = |resource: &str, requested: i64, used: i64, capacity: i64| {
        format!(
            "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
        )
    };
    if n_pods >= room.n_pods {
        return refused("OutOfpods", short("pods", 1, n_pods, room.n_pods));
    }
    for (resource, capacity) in [
        ("cpu", room.allocatable.cpu),
        ("memory", room.allocatable.memory),
        ("ephemeral-storage", room.allocatable.ephemeral_storage),
    ] {
        let requested = total(pod, resource);
        let used: Quantity = others.iter().map(|other| total(other, resource)).sum();
        let number = |amount: Quantity| if resource == "cpu" { amount.as_milli() } else { amount.as_units() };
        if requested > Quantity::ZERO && used + requested > capacity {
            let message = short(resource, number(requested), number(used), number(capacity));
            return refused(&format!("OutOf{resource}"), message);
        }
    }
    Ok(())
}

/// What a whole pod asks for: its long-running containers together, or an init container if that is more.
fn total(pod: &PodSpec, resource: &str) -> Quantity {
    let own = pod.resources.as_ref().and_then(|own| qos::amount(own.requests.as_ref(), resource));
    if let Some(own) = own {
        return own;
    }
    let asked = |member: &members::Member| qos::request(&member.container, resource).unwrap_or_default();
    let mut sidecars = Quantity::ZERO;
    let mut most = Quantity::ZERO;
    for member in members::init(pod) {
        if member.class == Class::Sidecar {
            sidecars += asked(&member);
        }
        let beside = if member.class == Class::Init { asked(&member) } else { Quantity::ZERO };
        most = most.max(sidecars + beside);
    }
    let main: Quantity = members::main(pod).map(|member| asked(&member)).sum();
    let overhead = qos::amount(pod.overhead.as_ref(), resource).unwrap_or_default();
    most.max(sidecars + main) + overhead
}

type HostPort = (i32, String, String);

fn host_ports(pod: &PodSpec) -> Vec<HostPort> {
    let ports = members::init(pod).chain(members::main(pod)).flat_map(|member| {
        let ports = member.container.ports.clone().unwrap_or_default();
        ports.into_iter().filter_map(|port| {
            let ip = port.host_ip.filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned());
            let host_port = port.host_port.filter(|port| *port > 0)?;
            Some((host_port, port.protocol.unwrap_or_else(|| "TCP".to_owned()), ip))
        })
    });
    ports.collect()
}

fn clash(one: &HostPort, other: &HostPort) -> bool {
    let any = |port: &HostPort| port.2 == "0.0.0.0";
    one.0 == other.0 && one.1 == other.1 && (one.2 == other.2 || any(one) || any(other))
}

/// The specs of pods that take room: those that have not ended.
pub(crate) fn taking_room<'a>(pods: impl Iterator<Item = &'a Pod>) -> Vec<&'a PodSpec> {
    let ended = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    pods.filter(|pod| !ended(pod)).filter_map(|pod| pod.spec.as_ref()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(value: Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    fn asking(cpu: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]})
    }

    #[track_caller]
    fn check(pod: Value, others: &[Value], expected: Result<(), (&str, &str)>) {
        let others: Vec<_> = others.iter().map(|other| spec(other.clone())).collect();
        let others: Vec<_> = others.iter().collect();
        let allocatable = Allocatable {
            cpu: Quantity::units(2),
            memory: Quantity::units(1 << 30),
            ephemeral_storage: Quantity::units(1 << 30),
        };
        let admitted = admit(&spec(pod), &others, &Room { allocatable, n_pods: 3 });
        let expected = expected.map_err(|(reason, message)| Verdict {
            reason: reason.to_owned(),
            message: format!("Pod was rejected: {message}"),
            grace: Some(0),
        });
        assert_eq!(admitted, expected);
    }

    #[test]
    fn resources() {
        check(asking("2"), &[], Ok(()));
        check(asking("1"), &[asking("500m"), asking("500m")], Ok(()));
        let message = "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000";
        check(asking("1500m"), &[asking("1")], Err(("OutOfcpu", message)));
        let none = json!({"containers": []});
        let message = "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3";
        check(none.clone(), &[none.clone(), none.clone(), none], Err(("OutOfpods", message)));
    }

    #[test]
    fn ports_and_sysctls() {
        let port = |ip: &str| json!({"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80, "hostIP": ip}]}]});
        check(port("10.0.0.1"), &[port("10.0.0.2")], Ok(()));
        check(port("10.0.0.1"), &[port("")], Err(("NodePorts", "Predicate NodePorts failed")));
        let sysctl =
            |name: &str| json!({"containers": [], "securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
        check(sysctl("net/ipv4/tcp_syncookies"), &[], Ok(()));
        let message = "forbidden sysctl: \"kernel.msgmax\" not allowlisted";
        check(sysctl("kernel.msgmax"), &[], Err(("SysctlForbidden", message)));
    }
}
