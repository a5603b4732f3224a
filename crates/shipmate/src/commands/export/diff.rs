//! `shipmate diff`: the cluster against the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use doctor::text::is_invisible;
use operate::export::compare::{Comparison, Difference, Live, compare};
use operate::export::page::{About, page};
use operate::export::secrets::{Compared, comparable};
use operate::export::{self, Collected, Failed, Key, Object, restore};
use serde_json::{Value, json};

use super::tell_failed;
use crate::cli::Format;
use crate::cli::export::Diff;
use crate::commands::NotRunning;
use crate::output;
use crate::reach;

/// Exit code when it can't be told.
const COULD_NOT_LOOK: u8 = 2;
/// Characters of a value that are shown.
const VALUE: usize = 120;

/// Drift has the exit code that failures have elsewhere; so these get another one.
pub(super) fn code(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    match result {
        Err(error) if !error.chain().any(|cause| cause.is::<NotRunning>()) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(COULD_NOT_LOOK))
        }
        result => result,
    }
}

pub(super) async fn run(arguments: &Diff) -> anyhow::Result<ExitCode> {
    let mut files = export::read(&arguments.directory)?;
    let access = super::secrets::access(&arguments.identity)?;
    let reached = reach::connect(&arguments.api.reach()).await?;
    let (mut cluster, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let (bar, mut read) = (super::bar(), 0);
    let index = export::collect(&reached.client, &files.index.options, |collected| {
        match collected {
            Collected::Object(Object { kind, value, short, managed }) => {
                read += 1;
                super::count(&bar, read);
                kinds.insert(Key::of(&value), kind.clone());
                cluster.insert(Key::of(&value), Live { value, short, managed });
            }
            Collected::Again(kind) => cluster.retain(|key, _| (&key.group, &key.kind) != (&kind.group, &kind.kind)),
        }
        Ok(())
    });
    let index = index.await;
    bar.finish_and_clear();
    let index = index?;
    let compared = comparable(&mut files, &access, |key| cluster.get(key).map(|live: &Live| &live.value))?;
    let by_key = files.by_key()?;
    let mut comparison = compare(&by_key, &cluster);
    if !files.index.options.raw {
        let alone = restore::settle(&reached.client, &kinds, &by_key, &cluster, &mut comparison).await;
        if alone > 0 {
            eprintln!(
                "{alone} objects are compared only by the fields in their files: the server may not be asked which others \
                 are defaults (that takes the right to patch, for a dry run)"
            );
        }
    }
    // Earlier exports have what Helm remembers without what it remembers: that says nothing.
    comparison.missing.retain(|key| !by_key.get(key).is_some_and(|file| export::helm::is_forgotten(file)));
    // What may not be read is not known to be missing.
    comparison.missing.retain(|key| !index.failed.iter().any(|failed| hides(failed, key)));
    if let Some(path) = &arguments.html {
        let files = arguments.directory.display().to_string();
        let time = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        let about = About { files: &files, cluster: &reached.server, time: &time };
        let html = page(&comparison, &index.failed, &about);
        std::fs::write(path, html).with_context(|| format!("write {}", path.display()))?;
    }
    match arguments.output.output {
        Format::Json => output::print_json(&json!({
            "added": comparison.added, "missing": comparison.missing, "changed": comparison.changed,
            "unchecked": index.failed,
        }))?,
        Format::Text => output::print(&text(&comparison))?,
    }
    let mut unchecked = tell_failed(&index.failed);
    if let Compared::Unknown(count) = compared {
        eprintln!("the values of {count} secrets are encrypted, and not compared: --identity FILE opens them");
        unchecked = true;
    }
    Ok(match (comparison.is_empty(), unchecked) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(COULD_NOT_LOOK),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn hides(failed: &Failed, key: &Key) -> bool {
    failed.group == key.group && (failed.kind.is_empty() || failed.kind == key.kind)
}

fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    for key in &comparison.missing {
        text.push_str(&format!("- {key}: in the files only\n"));
    }
    for key in &comparison.added {
        text.push_str(&format!("+ {key}: in the cluster only\n"));
    }
    for changed in &comparison.changed {
        text.push_str(&format!("~ {}\n", changed.key));
        changed.differences.iter().for_each(|one| line(&mut text, one));
    }
    text
}

/// One field: what the file has, what the cluster has, who wrote that.
fn line(text: &mut String, difference: &Difference) {
    let (file, cluster) = (shown(difference.file.as_ref()), shown(difference.cluster.as_ref()));
    let by = difference.by.as_ref().map(|by| format!("  ({}, {})", by.name, by.time)).unwrap_or_default();
    writeln!(text, "    {}: {file} -> {cluster}{by}", difference.path).expect("a string takes everything");
}

/// The other way round: what the cluster has, and what the file makes of it.
pub(super) fn back(text: &mut String, difference: &Difference) {
    let (file, cluster) = (shown(difference.file.as_ref()), shown(difference.cluster.as_ref()));
    let by = difference.by.as_ref().map(|by| format!("  (was set by {}, {})", by.name, by.time)).unwrap_or_default();
    writeln!(text, "    {}: {cluster} -> {file}{by}", difference.path).expect("a string takes everything");
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "(none)".to_owned() };
    let seen =
        |letter: char| if is_invisible(letter) { letter.escape_unicode().to_string() } else { letter.to_string() };
    let text: String = value.to_string().chars().map(seen).collect();
    if text.chars().count() <= VALUE {
        return text;
    }
    format!("{}…", text.chars().take(VALUE).collect::<String>())
}
