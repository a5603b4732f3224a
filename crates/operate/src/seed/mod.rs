//! Images staged into nodes without the nodes' own pulling: `shipmate image seed`, `seeded`, `unseed`.
//!
//! An image is pulled once to this machine ([`pull`]), or read from an archive, and then streamed into each node's
//! containerd in parallel ([`stage`]). Before a node is touched, what it had under these names is written into a
//! [`Receipt`]; [`unstage`] puts exactly that back.
//!
//! Invariants: a name appears on a node only when all that it needs is there; what a receipt does not list is never
//! removed; an image that a container uses is never removed. Killing this program at any moment and running it again
//! does what one run would have done.

mod ctr;
mod layout;
mod pull;
mod receipt;
mod retry;
mod stage;
mod stock;
mod unstage;
mod workloads;

use std::sync::Arc;

use cri::import::Platform;

use crate::access::Access;

pub use layout::ContentDir;
pub use pull::{Pull, PullError, PullEvent, pull};
pub use receipt::{Before, Claim, Held, NodeSeed, NodeState, PolicyPatch, Receipt, ReceiptError, Receipts};
pub use stage::{Done, Outcome, Stage, StageEvent, image_in, stage};
pub use stock::StockError;
pub use unstage::{Presence, Removal, presence, unstage};
pub use workloads::{StillPulls, still_pulls};

/// A node that an image is to be staged into.
#[derive(Clone)]
pub struct Target {
    /// The way onto it.
    pub access: Arc<dyn Access>,
    /// Sockets at which its containerd may listen, likeliest first.
    pub sockets: Vec<String>,
    /// What its containers run on.
    pub platform: Platform,
}

impl Target {
    /// The node's name.
    pub fn node(&self) -> &str {
        self.access.node()
    }
}

/// Sockets of the usual distributions.
pub const USUAL_SOCKETS: [&str; 4] = [
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
];

/// The label by which containerd, from 1.7 on, tells the kubelet never to remove an image.
pub const PINNED: (&str, &str) = ("io.cri-containerd.pinned", "pinned");
/// The label that names the receipt.
pub const RECEIPT: &str = "shipmate.dev/seed";
