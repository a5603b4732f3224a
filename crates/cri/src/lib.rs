//! Shipmate's client for containerd: the Container Runtime Interface, and what CRI lacks.
//!
//! Everything goes over containerd's one unix socket: [`Runtime`] has CRI's calls, loads images
//! without a registry ([`import`]), runs processes with real pipes and terminals ([`exec`]) and
//! tells when containers end ([`events`]).
//!
//! Invariant: every call has a deadline, and every error says which call on which socket failed
//! and keeps containerd's own words ([`Error`]).
//!
//! Deliberately absent: policy. Retries, restarts, naming and clean-up of pods belong to the kubelet;
//! starting containerd belongs to whoever owns the node.

mod containers;
mod error;
pub mod events;
pub mod exec;
mod images;
pub mod import;
mod node;
mod pods;
mod proto;
mod runtime;
mod stock;

pub use error::Error;
pub use node::Plugin;
pub use runtime::{NAMESPACE, Runtime};
pub use stock::{ImageUser, NamedImage};

/// The messages of CRI's `runtime.v1`, as in Kubernetes' API definition.
pub mod v1 {
    pub use crate::proto::runtime::v1::*;
}
