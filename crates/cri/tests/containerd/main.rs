//! Tests against a real containerd, which each test starts for itself: they need root, and fail
//! without it or without containerd, because then nothing here has been tested.

#![expect(clippy::unwrap_used, reason = "in a test, what goes wrong shall panic where it does")]

mod events;
mod exec;
mod import;
mod pods;
mod support;
