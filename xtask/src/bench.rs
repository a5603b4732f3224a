//! Measures, and prints figures and ratios. Nothing here passes or fails.

use anyhow::bail;

/// Runs the benchmarks named, or all.
pub(crate) fn run(names: &[&str]) -> anyhow::Result<()> {
    bail!("no benchmark is called {}", names.join(", "))
}
