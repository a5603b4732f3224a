//! The service proxy: cluster IPs, node ports and host ports as nftables rules of the node's network namespace.
//!
//! [`table::Table`] is a projection of services, endpoints and host ports; [`ruleset`] writes it as one nftables table that
//! replaces its predecessor in one transaction. Nothing in the table has state, so replacing it disturbs no
//! connection: established ones live in conntrack.
//!
//! Session affinity is a hash of the client's address. It holds while the endpoints stay the same; Kubernetes'
//! timeout is therefore not needed, and a changed set of endpoints may move a client.
//!
//! Deliberately absent: IPv6, and clearing of UDP conntrack entries whose endpoint is gone (they expire).

mod apply;
mod ruleset;
mod table;

pub use apply::{Proxy, run};
pub use ruleset::Addresses;
pub use table::{HostPort, Protocol};
