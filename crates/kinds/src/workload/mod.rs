//! What the controllers of pods share: reading pods, claiming what a selector selects, making pods from templates,
//! history.
//!
//! Everything is a function of objects in one view. Deliberately absent: "expectations". A view is one revision of
//! everything, so a plan sees its own earlier writes.

pub mod change;
pub mod claim;
pub mod fraction;
pub mod hash;
pub mod history;
pub mod meta;
pub mod pods;
pub mod replicas;
pub mod template;
