//! Server-side apply (KEP-555): which fields a configuration has, how it is merged, and what becomes of fields that it no
//! longer has. Pure; who manages what is kept by the caller.
//!
//! The schema says which lists are maps or sets and which values are atomic. Where there is none, objects are maps and
//! lists are atomic.

mod fields;
mod merge;
mod walk;

pub use fields::Fields;
pub use merge::{merge, remove};
pub use walk::{Compared, compare, fields_of};
