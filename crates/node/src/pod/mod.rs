//! Pods: from their spec in the API server to containers in the runtime, and back as their status.
//!
//! Everything that is decided is decided by pure functions ([`decide`], [`status`]) from plain data;
//! one [`worker`] per pod collects the data and carries decisions out, so no pod waits for another.

pub(crate) mod admit;
mod backoff;
#[cfg(test)]
mod cases;
pub(crate) mod container;
pub mod decide;
mod hooks;
pub(crate) mod hosts;
pub(crate) mod inbox;
mod kill;
pub mod members;
pub mod memory;
pub(crate) mod observe;
pub mod observed;
pub(crate) mod qos;
mod report;
mod resolv;
pub(crate) mod resources;
mod restart;
pub(crate) mod sandbox;
pub(crate) mod security;
mod start;
pub mod status;
mod tear_down;
mod wind_down;
pub(crate) mod worker;
