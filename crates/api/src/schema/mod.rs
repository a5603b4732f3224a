//! The one schema that everything structural reads: pruning, strict field validation, strategic merge patch,
//! server-side apply, OpenAPI and `kubectl explain`.
//!
//! A [`SchemaSet`] holds named [`Definition`]s, each a tree of [`Node`]s. Trees refer to other definitions by name,
//! because Kubernetes' own types are recursive (JSONSchemaProps). Whoever walks a schema holds a [`Schema`], a cheap
//! cursor that resolves those names on the way. Built-in kinds and custom kinds take this same form.
//!
//! Invariant: every reference in a set resolves to a definition of the same set, or the value below it is treated
//! as free-form.
//!
//! Deliberately absent: validation of values (ranges, patterns, CEL) and defaults' meaning, which belong to kinds.

mod build;
mod check;
mod cursor;
mod node;
mod openapi;
mod set;

pub use build::SchemaError;
pub use check::{CheckOptions, Checked, MAX_DEPTH};
pub use cursor::Schema;
pub use node::{Additional, Extra, Format, ListType, MapType, Node, PatchStrategy, Property, Type};
pub use openapi::{Definitions, Dialect};
pub use set::{Definition, GroupVersionKind, Root, SchemaSet};
