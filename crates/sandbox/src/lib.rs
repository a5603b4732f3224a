//! A Kubernetes cluster on this machine, all but the programs of Kubernetes.
//!
//! [`Sandbox`] is the door: it creates, starts, stops and deletes a cluster;
//! [`Cluster`] is for looking at one while others may work on it.
//! Below it, one module each: where files lie ([`layout`]), what a cluster is
//! ([`config`]), certificates ([`pki`]), [`network`], nodes with their
//! containerd ([`node`]), the images that a cluster brings ([`images`]), the
//! user's [`kubeconfig`], and checks beforehand ([`preflight`]).
//!
//! Everything blocks and is safe to call from async code through
//! `spawn_blocking`: what needs a namespace or an async runtime gets a thread of
//! its own. Invariant: after [`Sandbox::delete`], nothing is left that was not
//! there before the cluster. Deliberately absent: the API server and the kubelet
//! themselves, which the caller launches ([`Launch`]).

pub mod cgroup;
pub mod command;
pub mod config;
mod error;
pub mod images;
pub mod kubeconfig;
pub mod layout;
mod lock;
mod machine;
mod mounts;
pub mod namespaces;
pub mod network;
pub mod node;
pub mod pki;
pub mod preflight;
pub mod process;
pub mod programs;
mod sandbox;

pub use error::{Error, Result};
pub use machine::Machine;
pub use sandbox::{Cluster, KUBELET, Launch, NewNodes, NodeStatus, SERVER, Sandbox, Status};
