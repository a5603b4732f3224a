//! How a server is set up: what the cluster's certificates, addresses and keys are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

/// Block of addresses, for example `10.96.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// First address.
    pub base: Ipv4Addr,
    /// Bits that all addresses share.
    pub prefix: u8,
}

impl Cidr {
    /// How many addresses there are.
    pub fn size(self) -> u32 {
        1_u32.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(u32::MAX)
    }

    /// The address at `index`.
    pub fn nth(self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base).wrapping_add(index))
    }

    /// Whether an address lies in the block.
    pub fn contains(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => u32::from(address).wrapping_sub(u32::from(self.base)) < self.size(),
            IpAddr::V6(_) => false,
        }
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// A certificate chain with its private key, PEM.
#[derive(Clone, Default)]
pub struct Identity {
    /// Certificate chain, PEM.
    pub certificate: String,
    /// Private key, PEM.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity { key: withheld }")
    }
}

/// How service account tokens are signed (ES256).
#[derive(Clone, Default)]
pub struct TokenIssuer {
    /// `iss` of tokens, and their default audience: `https://kubernetes.default.svc.cluster.local`.
    pub issuer: String,
    /// PKCS#8 DER of a P-256 key.
    pub signing_key: Vec<u8>,
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenIssuer {{ issuer: {:?}, signing_key: withheld }}", self.issuer)
    }
}

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the cluster reaches this server: endpoint of the `kubernetes` Service.
    pub advertise: SocketAddr,
    /// Cluster IPs of services; the first address is the `kubernetes` Service's.
    pub service_cidr: Cidr,
    /// Node ports of services.
    pub node_ports: RangeInclusive<u16>,
    /// Signs service account tokens.
    pub tokens: TokenIssuer,
    /// Certificate authority that signs client, node and server certificates, PEM.
    pub ca: String,
    /// How this server names itself to kubelets (CN=kube-apiserver-kubelet-client).
    pub kubelet_client: Identity,
    /// Kubernetes version that is served, for example `1.37.0`.
    pub version: String,
    /// Requests in work at once, watches and upgraded connections aside.
    pub max_in_flight: usize,
    /// Open connections at once.
    pub max_connections: usize,
}

impl Config {
    /// The usual settings for a server at `advertise`; keys and certificates are still to be filled in.
    pub fn new(advertise: SocketAddr) -> Self {
        Self {
            advertise,
            service_cidr: Cidr { base: Ipv4Addr::new(10, 96, 0, 0), prefix: 16 },
            node_ports: 30000..=32767,
            tokens: TokenIssuer {
                issuer: "https://kubernetes.default.svc.cluster.local".to_owned(),
                signing_key: Vec::new(),
            },
            ca: String::new(),
            kubelet_client: Identity::default(),
            version: "1.37.0".to_owned(),
            max_in_flight: 600,
            max_connections: 12_000,
        }
    }
}
