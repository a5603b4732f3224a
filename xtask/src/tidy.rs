//! Checks what no compiler checks: which crate may use which, how long files are, which words they may hold.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::run::{command, root};

/// The layers: which of our crates a crate may use. See `ARCHITECTURE.md`, Layers.
const LAYERS: &[(&str, &[&str])] = &[
    ("shipmate-api", &[]),
    ("shipmate-kinds", &["shipmate-api"]),
    ("shipmate-store", &["shipmate-api"]),
    ("shipmate-server", &["shipmate-api", "shipmate-store"]),
    ("shipmate-control", &["shipmate-api", "shipmate-kinds", "shipmate-server"]),
    ("shipmate-cri", &[]),
    ("shipmate-node", &["shipmate-api", "shipmate-cri"]),
    ("shipmate-doctor", &["shipmate-api", "shipmate-kinds"]),
    ("shipmate-operate", &["shipmate-api", "shipmate-cri", "shipmate-doctor", "shipmate-kinds"]),
    ("shipmate-sandbox", &["shipmate-cri"]),
    (
        "shipmate",
        &[
            "shipmate-api",
            "shipmate-control",
            "shipmate-cri",
            "shipmate-doctor",
            "shipmate-kinds",
            "shipmate-node",
            "shipmate-operate",
            "shipmate-sandbox",
            "shipmate-server",
            "shipmate-store",
        ],
    ),
    ("shipmate-bench", &["shipmate-cri", "shipmate-sandbox"]),
    ("xtask", &[]),
];

/// Crates that decide and never act: nothing asynchronous, no IO, no logging.
const PURE: &[&str] = &["shipmate-api", "shipmate-kinds", "shipmate-doctor"];
const IMPURE: &[&str] = &["tokio", "futures", "tracing", "hyper", "kube", "nix", "rand"];

/// Lines of a file, at most.
const FILE_LINES: usize = 800;

/// Names of modules that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "manager"];

pub(crate) fn check() -> anyhow::Result<()> {
    let mut wrong = layers()?;
    wrong.extend(files()?);
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("untidy:\n  {}", wrong.join("\n  "));
}

fn layers() -> anyhow::Result<Vec<String>> {
    let output =
        command("cargo", &["metadata", "--format-version", "1", "--no-deps"]).output().context("run cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
            wrong.push(format!("`{name}` has no layer: see ARCHITECTURE.md, Layers, and xtask/src/tidy.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let uses = dependency["name"].as_str().unwrap_or_default();
            let in_tests_only = dependency["kind"] == "dev";
            if ours.contains(uses) && !in_tests_only && !allowed.contains(&uses) {
                wrong.push(format!("`{name}` must not depend on `{uses}`: see ARCHITECTURE.md, Layers"));
            }
            if PURE.contains(&name) && !in_tests_only && IMPURE.contains(&uses) {
                wrong.push(format!("`{name}` is pure and must not depend on `{uses}`: see ARCHITECTURE.md, Layers"));
            }
        }
    }
    Ok(wrong)
}

fn files() -> anyhow::Result<Vec<String>> {
    let output =
        command("git", &["ls-files", "--cached", "--others", "--exclude-standard"]).output().context("run git")?;
    let listed = String::from_utf8(output.stdout).context("file names are UTF-8")?;
    let mut wrong = Vec::new();
    for name in listed.lines().filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "rs")) {
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue }; // Deleted, not yet committed.
        let lines = text.lines().count();
        if lines > FILE_LINES {
            wrong.push(format!("{name} has {lines} lines, {FILE_LINES} is the limit: split it by what it is about"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{name} does not begin by saying what it is for (`//!`)"));
        }
        let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if EMPTY_NAMES.contains(&stem) {
            wrong.push(format!("{name}: `{stem}` says nothing; name the file after the one thing in it"));
        }
        if text.contains(concat!("#[", "ignore")) {
            wrong.push(format!("{name} has an ignored test"));
        }
    }
    Ok(wrong)
}
