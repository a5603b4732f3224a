//! Cluster DNS: answers for the cluster's domain from the services of the cluster, everything else from upstream.
//!
//! It follows the «Kubernetes DNS-Based Service Discovery» specification, version 1.1.0. Every node answers on the
//! cluster's DNS address, so a pod's look-up never leaves its node.
//!
//! Deliberately absent: caching of upstream answers (the resolvers behind do that) and DNSSEC.

mod answer;
mod forward;
mod serve;
mod zone;

pub use forward::upstreams;
pub use serve::{Dns, run};
pub use zone::Zone;
