//! `shipmate doctor image`: what each node's containerd does to pull an image.

use std::process::ExitCode;

use anyhow::bail;

use crate::cli::doctor::{Doctor, Image};

pub(super) async fn run(image: &Image, _arguments: &Doctor) -> anyhow::Result<ExitCode> {
    bail!("the pull path of {} can't be shown yet: `shipmate doctor --from FILE` looks at a bundle", image.reference)
}
