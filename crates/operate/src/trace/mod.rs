//! Whose connection is this? From what a server sees of its clients back to pods, workloads and nodes.
//!
//! The server tells addresses and ports (`pg_stat_activity`, or the kernel of its machine); the nodes' tables of
//! connections tell what these were before translation; the API tells who has, or at that time had, the address.
//! Nothing is changed anywhere, but by [`postgres::Session::terminate`].

pub mod chart;
pub mod cluster;
pub mod conntrack;
pub mod events;
pub mod flows;
pub mod history;
pub mod join;
pub mod links;
mod naming;
pub mod pods;
pub mod pooler;
pub mod postgres;
pub mod report;
pub mod sockets;
pub mod who;
pub mod workloads;
