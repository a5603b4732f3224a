//! Changes of files on nodes and of objects: shown first, made in one step each, written down, and undone on demand.

mod ground;

pub use ground::Ground;
