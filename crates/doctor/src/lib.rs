//! From the symptom to the line that is wrong: rules over [`Evidence`] that give [`Finding`]s with [`Fix`]es.
//!
//! Everything here is pure: no clock, no file, no network, no logging. Whoever collects evidence, applies fixes or asks
//! a person is elsewhere. A rule lives in its own folder under `rules/`, together with the page that explains it; the
//! page's examples are the rule's tests.
//!
//! Rules decide by combining evidence. One message often has several causes; the rule whose evidence is there wins, and
//! where evidence is missing the finding stays [`Certainty::Open`] and names what would decide.

pub mod evidence;
pub mod examine;
pub mod finding;
pub mod near;
pub mod owner;
pub mod page;
pub mod paste;
pub mod read;
pub mod redact;
pub mod render;
pub mod rule;
pub mod rules;
pub mod text;

pub use evidence::{Evidence, Item, ItemKind, Origin};
pub use examine::{Report, examine};
pub use finding::{Applicability, Certainty, Finding, Fix, Place, Severity};
pub use rule::{Findings, Rule};
