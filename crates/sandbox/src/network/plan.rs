//! Which names and addresses a cluster has: pure, and the same each time.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::cidr::Cidr;
use crate::config::NodeConfig;
use crate::layout::Name;
use crate::{Error, Result};

/// ClusterIPs of every cluster: they exist only inside nodes, so clusters share them.
const SERVICE_CIDR: Cidr = Cidr::const_new([10, 96, 0, 0], 16);
/// Node N has host number `NODE_OFFSET + N` in the node network.
const NODE_OFFSET: u32 = 10;

/// The networks of a cluster, as remembered in `cluster.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkConfig {
    /// Addresses of the bridge and of the nodes: a /24.
    pub node_cidr: Cidr,
    /// Addresses of all pods: a /16, of which node N has the N-th /24.
    pub pod_cidr: Cidr,
    /// ClusterIPs of services.
    pub service_cidr: Cidr,
}

impl NetworkConfig {
    /// Networks with the usual service addresses.
    #[must_use]
    pub fn new(node_cidr: Cidr, pod_cidr: Cidr) -> Self {
        Self { node_cidr, pod_cidr, service_cidr: SERVICE_CIDR }
    }

    /// The first choice that overlaps nothing in `taken`.
    pub fn choose(taken: &[Cidr]) -> Result<Self> {
        let free = |cidr: &Cidr| !cidr.overlaps(SERVICE_CIDR) && !taken.iter().any(|other| other.overlaps(*cidr));
        let tens = Cidr::const_new([10, 0, 0, 0], 8);
        let twelve = Cidr::const_new([172, 16, 0, 0], 12);
        let last = Cidr::const_new([192, 168, 0, 0], 16);
        let pods = (244..256)
            .chain(200..244)
            .map(|index| tens.subnet(16, index))
            .chain((0..16).rev().map(|index| twelve.subnet(16, index)))
            .find(free);
        let nodes = (0..=255)
            .map(|index| tens.subnet(16, 213).subnet(24, index))
            .chain((0..4096).rev().map(|index| twelve.subnet(24, index)))
            .chain((0..=255).rev().map(|index| last.subnet(24, index)))
            .find(|cidr| free(cidr) && pods.is_none_or(|pods| !pods.overlaps(*cidr)));
        match (nodes, pods) {
            (Some(nodes), Some(pods)) => Ok(Self::new(nodes, pods)),
            _ => Err(Error::refused(
                "no private network is free for a cluster: routes of this machine cover them all; \
                 see `ip route show table all`, and delete clusters that are not needed",
            )),
        }
    }

    /// Address of the bridge: how nodes and pods reach the API server.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        self.node_cidr.host(1)
    }

    /// InternalIP of a node.
    #[must_use]
    pub fn node_ip(&self, node: &NodeConfig) -> Ipv4Addr {
        self.node_cidr.host(NODE_OFFSET + u32::from(node.index))
    }

    /// Pod addresses of a node (`spec.podCIDR`).
    #[must_use]
    pub fn node_pods(&self, node: &NodeConfig) -> Cidr {
        self.pod_cidr.subnet(24, u32::from(node.index))
    }

    /// ClusterIP of the service `kubernetes`.
    #[must_use]
    pub fn api_service(&self) -> Ipv4Addr {
        self.service_cidr.host(1)
    }

    /// ClusterIP of the service `kube-dns`.
    #[must_use]
    pub fn dns_service(&self) -> Ipv4Addr {
        self.service_cidr.host(10)
    }

    /// Every network that a later cluster must not use again.
    #[must_use]
    pub fn reserved(&self) -> [Cidr; 2] {
        [self.node_cidr, self.pod_cidr]
    }
}

/// Names of what a cluster's network consists of in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    cluster: Name,
    hash: String,
}

impl Names {
    /// Names for a cluster.
    #[must_use]
    pub fn new(cluster: &Name) -> Self {
        let digest = Sha256::digest(cluster.as_str().as_bytes());
        let hash = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { cluster: cluster.clone(), hash }
    }

    /// The bridge. Interface names have at most 15 bytes (IFNAMSIZ), so it is a hash.
    #[must_use]
    pub fn bridge(&self) -> String {
        format!("sm{}", self.hash)
    }

    /// The bridge's end of a node's veth pair; the node's end is `eth0`.
    #[must_use]
    pub fn veth(&self, node: &NodeConfig) -> String {
        format!("sm{}-{}", self.hash, node.index)
    }

    /// Named network namespace of a node, as `ip netns list` shows it.
    #[must_use]
    pub fn netns(&self, node: &NodeConfig) -> String {
        format!("shipmate-{}-{}", self.cluster, node.name)
    }

    /// nftables table of the cluster in the root network namespace.
    #[must_use]
    pub fn table(&self) -> String {
        format!("shipmate-{}", self.cluster)
    }

    /// A locally administered MAC address for the bridge. Without one, a bridge
    /// takes the lowest of its ports and so changes it when nodes come and go.
    #[must_use]
    pub fn bridge_mac(&self) -> [u8; 6] {
        let digest = Sha256::digest(self.cluster.as_str().as_bytes());
        [0x02, 0x5a, digest[0], digest[1], digest[2], digest[3]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::number_nodes;

    fn cidrs(texts: &[&str]) -> Vec<Cidr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_choice_avoids_what_is_taken() {
        for (taken, nodes, pods) in [
            (&[][..], "10.213.0.0/24", "10.244.0.0/16"),
            (&["192.0.2.0/24", "10.213.0.0/25"], "10.213.1.0/24", "10.244.0.0/16"),
            (&["10.213.0.0/24", "10.244.0.0/16"], "10.213.1.0/24", "10.245.0.0/16"),
            (&["10.244.1.0/24"], "10.213.0.0/24", "10.245.0.0/16"),
            (&["10.0.0.0/8"], "172.30.255.0/24", "172.31.0.0/16"),
            (&["10.0.0.0/8", "172.20.0.0/14"], "172.30.255.0/24", "172.31.0.0/16"),
        ] {
            let chosen = NetworkConfig::choose(&cidrs(taken)).unwrap();
            assert_eq!((chosen.node_cidr.to_string(), chosen.pod_cidr.to_string()), (nodes.into(), pods.into()));
        }
        let all = cidrs(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]);
        assert!(NetworkConfig::choose(&all).unwrap_err().to_string().contains("no private network is free"));
    }

    #[test]
    fn addresses_follow_from_the_index() {
        let network = NetworkConfig::choose(&[]).unwrap();
        let nodes = number_nodes(100).unwrap();
        assert_eq!(network.gateway().to_string(), "10.213.0.1");
        assert_eq!(network.node_ip(&nodes[1]).to_string(), "10.213.0.12");
        assert_eq!(network.node_pods(&nodes[1]).to_string(), "10.244.2.0/24");
        assert_eq!(network.node_ip(&nodes[99]).to_string(), "10.213.0.110");
        assert_eq!(network.api_service().to_string(), "10.96.0.1");
        assert_eq!(network.dns_service().to_string(), "10.96.0.10");
    }

    #[test]
    fn interface_names_fit() {
        let names = Names::new(&"a-cluster-with-quite-a-long-nam".parse::<Name>().unwrap_or("c".parse().unwrap()));
        for node in number_nodes(100).unwrap() {
            assert!(names.veth(&node).len() <= 15 && names.bridge().len() <= 15);
        }
        assert_ne!(names.bridge(), Names::new(&"d".parse().unwrap()).bridge());
    }
}
