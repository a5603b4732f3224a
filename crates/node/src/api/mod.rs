//! The kubelet's HTTPS API on port 10250: logs, exec, attach, port-forward, statistics.
//!
//! Paths and protocols are the real kubelet's, so that any API server can use it. Only callers with a client
//! certificate of the cluster's CA for the API server (or of `system:masters`) get in.
//!
//! Deliberately absent: SPDY as an outer protocol. kubectl has used WebSockets since 1.31; inside a port-forward
//! tunnel, SPDY bytes pass through unread.

mod attach;
mod exec;
mod logs;
mod lookup;
mod pods;
mod port_forward;
mod route;
mod serve;
mod stats;
mod stream;

use pods::Container;
pub use serve::{Api, BindError, run};
