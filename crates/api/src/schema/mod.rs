//! The one schema that everything structural reads: pruning, strict field validation, strategic merge patch,
//! server-side apply, OpenAPI and `kubectl explain`.
//!
//! A [`SchemaSet`] holds named [`Definition`]s, each a tree of [`Node`]s. Trees refer to other definitions by name,
//! because Kubernetes' own types are recursive (JSONSchemaProps). Whoever walks a schema holds a [`Schema`], a cheap
//! cursor that resolves those names on the way. Built-in kinds and custom kinds take this same form.
//!
//! Invariant: a reference that does not resolve makes the value below it free-form; it is never an error or a panic.
//!
//! Deliberately absent: validation of values (ranges, patterns, CEL) and defaulting, which belong to kinds.

mod check;
mod cursor;
mod node;
mod openapi;
mod quantity;
mod read;
mod scalar;
mod set;
mod time;

pub use check::{CheckOptions, Checked, MAX_DEPTH, depth_within};
pub use cursor::Schema;
pub use node::{Additional, Extra, Format, ListType, MapType, Node, PatchStrategy, Property, Type};
pub use openapi::{Definitions, Dialect};
pub use read::{Reader, SchemaError};
pub(crate) use scalar::json_type;
pub use set::{Definition, GroupVersionKind, Root, SchemaSet};
