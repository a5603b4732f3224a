//! What Shipmate does on any cluster: it reaches nodes, collects evidence, stages images.
//!
//! It uses the user's kubeconfig and the user's own OpenSSH, and installs nothing on a node. It decides nothing about
//! faults: that is the doctor's.

pub mod access;
pub mod certificate;
pub mod change;
pub mod collect;
pub mod export;
pub mod kubeconfig;
pub mod pull_path;
pub mod registry;
pub mod seed;
pub mod trace;
