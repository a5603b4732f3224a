//! `cargo xtask bench [--markdown] [--profile PROFILE] [NAME…]`: builds, and lets `shipmate-bench` measure.
//!
//! Measures, and prints figures and ratios. Nothing here passes or fails.

use anyhow::Context as _;

use crate::run::{command, root, run};

/// Where the figures of a whole run are kept.
const PAGE: &str = "docs/benchmarks.md";
/// What follows this line in it was measured.
const MEASURED: &str = "<!-- Below this line: written by `cargo xtask bench --markdown`. -->\n";

/// Runs the benchmarks named, or all. With `--markdown`, a run of all of them replaces the figures in the documentation.
pub(crate) fn run_all(arguments: &[&str]) -> anyhow::Result<()> {
    let mut profile = "release";
    let mut markdown = false;
    let mut names = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "--markdown" => markdown = true,
            "--profile" => profile = words.next().context("--profile needs a name: `release` or `dev`")?,
            name => names.push(name),
        }
    }
    run("cargo", &["build", "--profile", profile, "--package", "shipmate", "--package", "shipmate-bench"])?;
    let directory = if profile == "dev" { "debug" } else { profile };
    let (bench, shipmate) = (format!("target/{directory}/shipmate-bench"), format!("target/{directory}/shipmate"));
    let mut measure = vec!["--shipmate", shipmate.as_str()];
    measure.extend(&names);
    if !markdown {
        return run(&bench, &measure);
    }
    measure.push("--markdown");
    let output =
        command(&bench, &measure).stderr(std::process::Stdio::inherit()).output().context("start the benchmarks")?;
    let figures = String::from_utf8(output.stdout).context("the benchmarks print text")?;
    if !output.status.success() {
        anyhow::bail!("the benchmarks failed ({}) after\n{figures}", output.status);
    }
    if !names.is_empty() {
        print!("{figures}");
        return Ok(());
    }
    let path = root().join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| format!("read {PAGE}"))?;
    let (head, _) = page.split_once(MEASURED).with_context(|| format!("{PAGE} has no line {MEASURED:?}"))?;
    std::fs::write(&path, format!("{head}{MEASURED}\n{figures}")).with_context(|| format!("write {PAGE}"))
}
