//! The static programs that this crate ships, as bytes.
//!
//! Their sources are in `programs/`; `build.rs` compiles them for the same
//! target as the binary. Deliberately absent: anything that needs a file in the
//! image besides the program itself.

/// Does nothing until SIGTERM: first process of pods and of nodes.
pub const PAUSE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));

/// The sample web application.
pub const WEB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/web"));
