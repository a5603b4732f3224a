//! Which nodes a pod may run on, as the scheduler and the DaemonSet controller both ask it: node affinity, taints,
//! and what a pod requests.

pub mod affinity;
pub mod requests;
pub mod taints;
