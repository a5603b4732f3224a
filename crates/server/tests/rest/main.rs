//! The REST core as clients see it: requests in, answers out, in process; one case speaks TLS.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod admission;
mod apply;
mod bodies;
mod deletes;
mod door;
mod lists;
mod subresources;
mod tables;
mod tls;
mod watches;
mod world;
mod writes;
