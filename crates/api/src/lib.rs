//! The vocabulary of Shipmate: objects, kinds, views of all objects at one revision, and plans.
//!
//! Everything here is pure: no async, no IO, no clock, no logging, and no concrete kind is named.
//! Readers get a [`View`]; whoever wants a change writes it into a [`Plan`].

pub mod age;
pub mod apply;
pub mod field;
pub mod kind;
pub mod names;
pub mod object;
pub mod patch;
pub mod plan;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod status;
pub mod view;

pub use age::human_duration;
pub use field::{FieldErrors, Path};
pub use kind::{Catalogue, Column, ColumnType, GroupKind, Kind, KindDef, KindId, Row, Rules, ScalePaths};
pub use object::{Header, Key, LogEntry, LogType, Object, OwnerRef, Revision};
pub use plan::{Blocked, Change, Controller, ControllerDef, EventType, Plan, Propagation, Subresource, Wake};
pub use quantity::Quantity;
pub use selector::{FieldSelector, LabelSelector};
pub use status::{Cause, Reason, Status};
pub use view::{Listed, View};
