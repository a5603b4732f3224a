//! The network parts of a node: cluster DNS and the service proxy, fed from the same snapshot of services.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::dns::{self, Dns, Zone};
use crate::node::Node;
use crate::proxy::{self, Addresses, HostPort, Protocol, Proxy};
use crate::services::Services;

/// Port of DNS.
const DNS_PORT: u16 = 53;

/// A network part that can't start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The DNS port is taken, or the address is not on this node.
    #[error("listen on {address} for cluster DNS")]
    Dns {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// The network parts, bound.
pub(crate) struct Network {
    dns: Dns,
}

impl Network {
    /// Binds what can fail.
    pub(crate) async fn bind(config: &Config) -> Result<Self, NetworkError> {
        let address = SocketAddr::new(config.cluster_dns, DNS_PORT);
        let resolv_conf = tokio::fs::read_to_string(Path::new("/etc/resolv.conf")).await.unwrap_or_default();
        let upstreams = dns::upstreams(&resolv_conf, config.cluster_dns);
        let dns = Dns::bind(config.cluster_dns, DNS_PORT, upstreams)
            .await
            .map_err(|source| NetworkError::Dns { address, source })?;
        Ok(Self { dns })
    }

    /// Runs the parts until `stop`.
    pub(crate) async fn run(self, node: Arc<Node>, stop: CancellationToken) {
        let known_services = node.services.clone();
        let (publish_zone, zone) = watch::channel(None);
        let (publish_ports, host_ports) = watch::channel(Vec::new());
        let config = &node.config;
        let proxy = Proxy {
            node: config.node_name.clone(),
            dns: ipv4(config.cluster_dns),
            addresses: Addresses {
                pods: config.pod_cidr.clone(),
                all_pods: config.cluster_cidr.clone(),
                services: config.service_cidr.clone(),
            },
            services: known_services.clone(),
            host_ports,
        };
        let mut parts = JoinSet::new();
        parts.spawn(project_zone(config.cluster_domain.clone(), known_services, publish_zone, stop.clone()));
        parts.spawn(watch_host_ports(node.clone(), publish_ports, stop.clone()));
        parts.spawn(proxy::run(proxy, stop.clone()));
        parts.spawn(dns::run(self.dns, zone, stop));
        while parts.join_next().await.is_some() {}
    }
}

fn ipv4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED, // No IPv4 service has this address.
    }
}

/// Makes the zone anew whenever services change.
async fn project_zone(
    domain: String,
    mut services: watch::Receiver<Option<Arc<Services>>>,
    publish: watch::Sender<Option<Arc<Zone>>>,
    stop: CancellationToken,
) {
    services.mark_changed();
    while let Some(Ok(())) = stop.run_until_cancelled(services.changed()).await {
        let known = services.borrow_and_update().clone();
        publish.send_replace(known.map(|known| Arc::new(Zone::project(&known, &domain))));
    }
}

/// Publishes the host ports of the node's pods.
async fn watch_host_ports(node: Arc<Node>, publish: watch::Sender<Vec<HostPort>>, stop: CancellationToken) {
    let mut changes = node.changes();
    changes.mark_changed();
    while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
        let mut ports = Vec::new();
        for view in node.pods() {
            let Some(address) = view.status.pod_ip.as_deref().and_then(|ip| ip.parse().ok()) else { continue };
            if let Some(pod) = &view.pod {
                ports.extend(host_ports(pod, address));
            }
        }
        ports.sort();
        publish.send_if_modified(|known| {
            let changed = *known != ports;
            if changed {
                *known = ports;
            }
            changed
        });
    }
}

fn host_ports(pod: &Pod, address: Ipv4Addr) -> Vec<HostPort> {
    let Some(spec) = pod.spec.as_ref().filter(|spec| spec.host_network != Some(true)) else { return Vec::new() };
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let host_ip = port.host_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "0.0.0.0");
            Some(HostPort {
                address: host_ip.map(str::parse).transpose().ok()?,
                protocol: Protocol::read(port.protocol.as_deref())?,
                port: u16::try_from(port.host_port?).ok()?,
                target: (address, u16::try_from(port.container_port).ok()?),
            })
        })
        .collect()
}
