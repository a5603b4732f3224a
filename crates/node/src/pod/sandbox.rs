//! The configuration of a pod's sandbox.

use std::collections::BTreeMap;

use cri::v1::{DnsConfig, LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata, PortMapping, Protocol};
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::config::Config;
use crate::labels::PodRef;
use crate::pod::{hosts, members, resources, security};

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
        port_mappings: if host_network { Vec::new() } else { port_mappings(spec) },
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

fn port_mappings(spec: &PodSpec) -> Vec<PortMapping> {
    let ports = members::members(spec).flat_map(|member| member.container.ports.clone().unwrap_or_default());
    ports
        .filter_map(|port| {
            let host_port = port.host_port.filter(|host_port| *host_port > 0)?;
            let protocol = match port.protocol.as_deref() {
                Some("UDP") => Protocol::Udp,
                Some("SCTP") => Protocol::Sctp,
                _ => Protocol::Tcp,
            };
            Some(PortMapping {
                protocol: protocol.into(),
                container_port: port.container_port,
                host_port,
                host_ip: port.host_ip.unwrap_or_default(),
            })
        })
        .collect()
}

fn sysctls(spec: &PodSpec) -> BTreeMap<String, String> {
    let sysctls = spec.security_context.as_ref().and_then(|context| context.sysctls.as_ref());
    // Kubernetes allows slashes as separators too.
    sysctls.into_iter().flatten().map(|sysctl| (sysctl.name.replace('/', "."), sysctl.value.clone())).collect()
}
