//! Real containerds, real registries, real sshds: images are pulled, staged and taken out, and pull paths are compared with
//! what containerd does.
//!
//! Everything is started by the test that needs it, on free ports and in temporary directories, and ends with it.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod pull_path;
mod registry;
mod seed;
mod support;
