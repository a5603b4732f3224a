//! The way of an image reference through a node's containerd: `shipmate doctor image`.

pub mod keyring;
