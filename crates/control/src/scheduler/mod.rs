//! placeholder
use crate::door::Door;
use tokio_util::sync::CancellationToken;
/// x
pub async fn run<D: Door>(_door: D, stop: CancellationToken) { stop.cancelled().await }
