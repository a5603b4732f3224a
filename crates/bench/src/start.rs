//! `start`: how long `shipmate start` takes until the node is Ready, and containerd alone until it answers.

use std::path::Path;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::containerd::Containerd;
use crate::report::{Amount, Bar, Figure, Peer, Report};
use crate::samples::median;

/// Clusters made from nothing.
const ROUNDS: usize = 3;
/// Starts of each cluster that exists.
const AGAIN: usize = 3;

const BAR_FIRST: Duration = Duration::from_secs(5);
const BAR_AGAIN: Duration = Duration::from_secs(2);

pub(crate) async fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let (mut first, mut again, mut running) = (Vec::new(), Vec::new(), Vec::new());
    let (mut floor_first, mut floor_again) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut alone = Containerd::new()?;
        floor_first.push(alone.start().await?);
        let cluster = Cluster::new(shipmate, "1")?;
        first.push(cluster.start()?);
        for _ in 0..AGAIN {
            cluster.stop()?;
            again.push(cluster.start()?);
            running.push(cluster.start()?);
            alone.stop()?;
            floor_again.push(alone.start().await?);
        }
    }
    let figure = |what, times: &[Duration], floor: Option<&[Duration]>, bar: Option<Duration>| {
        report.figure(&Figure {
            what,
            amount: Amount::Time(median(times)),
            peer: floor
                .map(|floor| Peer { what: "containerd alone until CRI answers", amount: Amount::Time(median(floor)) }),
            bar: bar.map(|bar| Bar::Under(Amount::Time(bar))),
        });
    };
    figure("start: first start until Ready", &first, Some(&floor_first), Some(BAR_FIRST));
    figure("start: existing cluster until Ready", &again, Some(&floor_again), Some(BAR_AGAIN));
    figure("start: everything runs already", &running, None, None);
    Ok(())
}
