//! Get, list and watch: from views and the log to bytes, without parsing what is stored.

mod get;
mod list;
mod options;
mod page;
pub(crate) mod render;
mod rendered;
mod selection;
mod table;
mod watch;

pub(crate) use get::get;
pub(crate) use list::list;
pub(crate) use rendered::Rendered;
pub(crate) use selection::Selection;
pub(crate) use watch::watch;
