//! A node: runs the pods that the API server gives it, as a kubelet does.
//!
//! It talks to the API server over TLS as its own user, and to its own containerd through CRI. Start it
//! with [`run`]; other parts of a node (kubelet API, service proxy, DNS) find pods and containers in
//! [`Node`].
//!
//! Invariants: no container runs twice, however the node process or containerd end, because what runs
//! is read back from the runtime; whatever a pod leaves on the node is removed with it.
//!
//! Deliberately absent: persistent volumes, static pods, device plugins, node-pressure eviction.

mod api;
mod cgroup;
mod client;
mod config;
mod dispatch;
mod dns;
mod duration;
mod env;
mod event;
mod image;
mod labels;
mod listen;
mod logs;
mod network;
mod node;
mod objects;
mod patience;
pub mod pod;
mod probe;
mod proxy;
mod register;
mod run;
mod services;
#[cfg(test)]
mod testing;
mod volume;

pub use client::ClientError;
pub use config::Config;
pub use event::{About, Level, Recorder};
pub use labels::PodRef;
pub use node::{Node, PodView};
pub use run::{RunError, run};
