//! Runs programs, and all the checks and tests in their order.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The root of the work tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A program, to be run at the root of the work tree.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a program to its end; anything but success is an error that names it.
pub(crate) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("{program} {}", arguments.join(" "));
    eprintln!("+ {shown}");
    let status = command(program, arguments).status().with_context(|| format!("start {program}"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Format, lints, tidiness, then every test.
pub(crate) fn test() -> anyhow::Result<()> {
    crate::setup::install_for_tests()?;
    run("cargo", &["fmt", "--all", "--check"])?;
    crate::tidy::check()?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    run("cargo", &["test", "--workspace", "--no-fail-fast"])
}
