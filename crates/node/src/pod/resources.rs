//! Requests and limits as the kernel takes them.

use api::Quantity;
use cri::v1::LinuxContainerResources;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::pod::members::{self, Class};
use crate::pod::qos;

/// Kubernetes' period of the CPU quota, in microseconds.
const PERIOD: i64 = 100_000;
/// The kernel refuses shorter quotas.
const LEAST_QUOTA: i64 = 1000;
/// The kernel's own bounds of cpu.shares.
const SHARES: std::ops::RangeInclusive<i64> = 2..=262_144;

/// The limits of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub cpu_shares: i64,
    /// Microseconds per period.
    pub cpu_quota: Option<i64>,
    pub cpu_period: i64,
    /// Bytes.
    pub memory: Option<i64>,
}

impl Limits {
    /// What the runtime says is in force.
    pub(crate) fn of_runtime(resources: &LinuxContainerResources) -> Self {
        let positive = |amount: i64| Some(amount).filter(|amount| *amount > 0);
        Self {
            cpu_shares: resources.cpu_shares,
            cpu_quota: positive(resources.cpu_quota),
            cpu_period: resources.cpu_period,
            memory: positive(resources.memory_limit_in_bytes),
        }
    }

    /// The shares of version 1 on the scale of version 2, as runc converts them.
    pub(crate) fn cpu_weight(&self) -> i64 {
        1 + (self.cpu_shares - 2) * 9999 / 262_142
    }
}

/// The limits of one container.
pub(crate) fn of_container(container: &Container) -> Limits {
    limits(
        qos::request(container, "cpu").unwrap_or_default(),
        qos::limit(container, "cpu"),
        qos::limit(container, "memory"),
    )
}

/// The limits of a whole pod: the sum of its containers, if all of them have one; init containers run
/// alone, so the largest of them counts.
pub(crate) fn of_pod(spec: &PodSpec) -> Limits {
    let long = || members::init(spec).filter(|member| member.class == Class::Sidecar).chain(members::main(spec));
    let short = || members::init(spec).filter(|member| member.class == Class::Init);
    let requests = long().map(|member| qos::request(&member.container, "cpu").unwrap_or_default()).sum::<Quantity>();
    let most = short().filter_map(|member| qos::request(&member.container, "cpu")).max().unwrap_or_default();
    let all = |resource: &str| -> Option<Quantity> {
        let sum = long().map(|member| qos::limit(&member.container, resource)).sum::<Option<Quantity>>()?;
        let init = short().map(|member| qos::limit(&member.container, resource)).collect::<Option<Vec<_>>>()?;
        Some(init.into_iter().fold(sum, Quantity::max))
    };
    let own = |resource: &str| qos::amount(spec.resources.as_ref()?.limits.as_ref(), resource);
    let own_request = spec.resources.as_ref().and_then(|own| qos::amount(own.requests.as_ref(), "cpu"));
    limits(
        own_request.unwrap_or_else(|| requests.max(most)),
        own("cpu").or_else(|| all("cpu")),
        own("memory").or_else(|| all("memory")),
    )
}

fn limits(request: Quantity, cpu: Option<Quantity>, memory: Option<Quantity>) -> Limits {
    let milli = request.as_milli();
    let positive = |amount: &Quantity| *amount > Quantity::ZERO;
    Limits {
        cpu_shares: (milli.saturating_mul(1024) / 1000).clamp(*SHARES.start(), *SHARES.end()),
        cpu_quota: cpu.filter(positive).map(|cpu| (cpu.as_milli().saturating_mul(PERIOD) / 1000).max(LEAST_QUOTA)),
        cpu_period: PERIOD,
        memory: memory.filter(positive).map(Quantity::as_units),
    }
}

/// For the runtime.
pub(crate) fn for_runtime(spec: &PodSpec, container: &Container, machine_bytes: i64) -> LinuxContainerResources {
    let limits = of_container(container);
    let memory = limits.memory.unwrap_or(0);
    LinuxContainerResources {
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota.unwrap_or(0),
        cpu_shares: limits.cpu_shares,
        memory_limit_in_bytes: memory,
        // Swap is part of the limit: a container must not get around it.
        memory_swap_limit_in_bytes: memory,
        oom_score_adj: qos::oom_score_adj(spec, container, machine_bytes),
        ..LinuxContainerResources::default()
    }
}

/// The cgroup of a pod, by its quality of service class.
pub(crate) fn cgroup(parent: &str, spec: &PodSpec, uid: &str) -> String {
    match qos::class(spec) {
        "Guaranteed" => format!("{parent}/pod{uid}"),
        class => format!("{parent}/{}/pod{uid}", class.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_of_containers_and_pods() {
        let spec: PodSpec = serde_json::from_value(json!({
            "initContainers": [{"name": "i", "resources": {"limits": {"cpu": "2", "memory": "10Mi"}}}],
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "500m", "memory": "64Mi"}}},
                {"name": "b", "resources": {"limits": {"cpu": "1m", "memory": "1Mi"}}},
            ],
        }))
        .unwrap();
        let a = of_container(&spec.containers[0]);
        assert_eq!(a, Limits { cpu_shares: 256, cpu_quota: Some(50_000), cpu_period: PERIOD, memory: Some(64 << 20) });
        assert_eq!(of_container(&spec.containers[1]).cpu_quota, Some(LEAST_QUOTA));
        let pod = of_pod(&spec);
        assert_eq!((pod.cpu_quota, pod.memory, pod.cpu_shares), (Some(200_000), Some(65 << 20), 2048));
        assert_eq!(cgroup("/k", &spec, "u"), "/k/burstable/podu");
    }

    #[test]
    fn a_container_without_limits_leaves_the_pod_without() {
        let spec: PodSpec = serde_json::from_value(json!({"containers": [
            {"name": "a", "resources": {"limits": {"memory": "64Mi"}}}, {"name": "b"},
        ]}))
        .unwrap();
        assert_eq!(of_pod(&spec).memory, None);
    }
}
