//! Collects evidence: from the API, and from nodes.
//!
//! Everything is read, nothing is changed. Each source has its time limit; what can't be read becomes an item that says
//! so, and the rest is looked at all the same. What is secret is taken out here, before anybody else sees it.

pub mod api;
pub mod node;

pub use api::{Scope, Seen};
