//! The configuration of a pod's sandbox.

use std::collections::BTreeMap;

use cri::v1::{DnsConfig, LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata};
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::config::Config;
use crate::labels::PodRef;
use crate::pod::{hosts, resources, security};

/// The configuration for the `attempt`th sandbox of a pod. It must be the same for the sandbox and for
/// all containers in it.
pub(crate) fn config(config: &Config, pod: &Pod, spec: &PodSpec, dns: DnsConfig, attempt: u32) -> PodSandboxConfig {
    let id = PodRef::of(pod);
    let host_network = spec.host_network.unwrap_or(false);
    let (hostname, _) = hosts::names(spec, &id.name, &id.namespace, &config.cluster_domain);
    let mut labels = pod.metadata.labels.clone().unwrap_or_default();
    labels.extend(id.labels());
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: id.name.clone(),
            uid: id.uid.clone(),
            namespace: id.namespace.clone(),
            attempt,
        }),
        // The runtime refuses a host name without a UTS namespace of the pod's own.
        hostname: if host_network { String::new() } else { hostname },
        log_directory: config.pod_log_dir(&id.namespace, &id.name, &id.uid).to_string_lossy().into_owned(),
        dns_config: Some(dns),
        // Host ports are the service proxy's work: see `network`.
        port_mappings: Vec::new(),
        labels,
        annotations: pod.metadata.annotations.clone().unwrap_or_default(),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: resources::cgroup(&config.cgroup_parent, spec, &id.uid),
            security_context: Some(security::of_sandbox(spec)),
            sysctls: sysctls(spec),
            ..LinuxPodSandboxConfig::default()
        }),
    }
}

fn sysctls(spec: &PodSpec) -> BTreeMap<String, String> {
    let sysctls = spec.security_context.as_ref().and_then(|context| context.sysctls.as_ref());
    // Kubernetes allows slashes as separators too.
    sysctls.into_iter().flatten().map(|sysctl| (sysctl.name.replace('/', "."), sysctl.value.clone())).collect()
}
