//! `shipmate doctor undo`.

use std::process::ExitCode;

use anyhow::bail;

use crate::cli::doctor::{Doctor, Undo};

pub(super) async fn run(undo: &Undo, _arguments: &Doctor) -> anyhow::Result<ExitCode> {
    let _ = undo.preview;
    bail!("undoing {} is not there yet", undo.receipt)
}
