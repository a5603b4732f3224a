//! The real binary, the real kubectl, real containers: the journeys that must never break.
//!
//! One module for each part of the acceptance, one test for each story: a cluster is started, used as
//! people use it, and deleted without a trace. Stories where containers do not matter run on simulated
//! nodes. They need root, and what `cargo xtask test` installs.
//!
//! Deliberately absent: rules that a unit or a case can check. Here it is shown that the parts fit.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod bad_input;
mod doctor;
mod drills;
mod export;
mod helm;
mod inside;
mod lasting;
mod life;
mod nodes;
mod output;
mod pods;
mod seed;
mod services;
mod streams;
mod support;
mod tour;
mod trace;
mod trace_ways;
mod workloads;
mod writes;
