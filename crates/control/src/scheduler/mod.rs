//! Gives pods their nodes.
//!
//! Deciding is pure: an [`attempt::Attempt`] looks at [`nodes::Nodes`], which are kept up to date from the log instead
//! of being made anew for each pod. One pod is decided after the other, so that each sees what the ones before it
//! took; bindings are committed beside that, many at once.
//!
//! Deliberately absent: profiles and extenders, volumes (there are none to bind yet), sampling of nodes (clusters of
//! ours have thousands at most), dynamic resource allocation.

mod attempt;
mod filter;
mod nodes;
mod preempt;
mod queue;
mod run;
mod score;
#[cfg(test)]
mod tests;

pub use run::run;

/// Name that pods ask for when they want this scheduler.
const NAME: &str = "default-scheduler";
