//! `size`: the program file.

use std::path::Path;

use crate::report::{Amount, Bar, Figure, Report};

/// What a program file may have at most.
const BAR: u64 = 60_000_000;

pub(crate) fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let bytes = std::fs::metadata(shipmate)?.len();
    report.figure(&Figure {
        what: "size: program file",
        amount: Amount::Bytes(bytes),
        peer: None,
        bar: Some(Bar::Under(Amount::Bytes(BAR))),
    });
    Ok(())
}
