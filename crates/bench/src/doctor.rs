//! `doctor`: a look at a healthy cluster of three nodes, with all that its nodes tell.

use std::path::Path;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::report::{Amount, Bar, Figure, Report};
use crate::samples::median;

const LOOKS: usize = 5;
const BAR: Duration = Duration::from_secs(2);

pub(crate) fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let cluster = Cluster::new(shipmate, "3")?;
    cluster.start()?;
    let (mut times, mut most) = (Vec::new(), 0);
    for _ in 0..LOOKS {
        let (took, peak) = cluster.doctor()?;
        times.push(took);
        most = most.max(peak);
    }
    report.figure(&Figure {
        what: "doctor: a healthy cluster of 3 nodes",
        amount: Amount::Time(median(&times)),
        peer: None,
        bar: Some(Bar::Under(Amount::Time(BAR))),
    });
    report.figure(&Figure { what: "doctor: resident at most", amount: Amount::Bytes(most), peer: None, bar: None });
    Ok(())
}
