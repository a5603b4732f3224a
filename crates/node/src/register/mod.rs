//! The node's own object: registering it, and keeping its status and lease fresh.

pub(crate) mod heartbeat;
pub(crate) mod machine;
mod object;
