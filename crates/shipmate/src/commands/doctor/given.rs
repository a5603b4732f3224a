//! Evidence that the user brings: bundles, manifests, pasted text. And bundles that the user takes away.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use doctor::{Evidence, Item, ItemKind, Origin, examine, paste};

use crate::cli::doctor::{Manifests, Subject, Text};

/// Bytes that are read of one input, at most: more is no evidence but a mistake.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Manifests that are read from a directory, at most.
const MAX_FILES: usize = 20_000;
/// Endings of files that may be manifests.
const MANIFESTS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads a bundle; an upgrade's target stands in it or on the command line.
pub(super) fn bundle(file: &Path, subject: Option<&Subject>) -> anyhow::Result<Evidence> {
    let text = read(file)?;
    let evidence = Evidence::from_json(&text).with_context(|| format!("read {}", shown(file)))?;
    Ok(match subject {
        Some(Subject::Upgrade(upgrade)) => evidence.for_minor(upgrade.to),
        _ => evidence,
    })
}

/// Reads manifests.
pub(super) fn manifests(arguments: &Manifests) -> anyhow::Result<Evidence> {
    let evidence = Evidence::new(manifest_items(&arguments.paths)?);
    Ok(match arguments.kubernetes {
        Some(minor) => evidence.for_minor(minor),
        None => evidence,
    })
}

/// The manifests at these paths.
pub(super) fn manifest_items(paths: &[PathBuf]) -> anyhow::Result<Vec<Item>> {
    let mut items = Vec::new();
    for path in paths {
        for file in files(path)? {
            let text = read(&file)?;
            // Directories hold other files as well: values of charts, settings of editors. What is named is meant.
            let meant = file == *path || text.contains("apiVersion") || text.contains("kind:");
            if !meant {
                continue;
            }
            let origin = if file == Path::new("-") { "stdin.yaml".to_owned() } else { file.display().to_string() };
            items.push(Item { kind: ItemKind::Manifest, origin: Origin(origin), text });
        }
    }
    Ok(items)
}

/// Reads pasted text.
pub(super) fn text(arguments: &Text) -> anyhow::Result<Evidence> {
    let (text, left_out) = paste::thinned(read(&arguments.file)?);
    if left_out > 0 {
        eprintln!("note: {left_out} lines of this long text say again, with other numbers, what others say: left out");
    }
    let text = paste::cleaned(&text);
    let evidence = Evidence::new(paste::split(&text));
    if evidence.items().is_empty() {
        bail!("the text is empty: paste what kubectl, kubeadm, a journal or a file says");
    }
    // Lines that a terminal cut are told from others by their width only: they are joined when nothing else helps.
    if examine(&evidence).findings.is_empty()
        && let Some(whole) = paste::joined(&text)
    {
        let whole = Evidence::new(paste::split(&whole));
        if !examine(&whole).findings.is_empty() {
            return Ok(whole);
        }
    }
    Ok(evidence)
}

/// Writes a bundle: the old file or the whole new one is there, and nobody else may read it.
pub(super) fn save(evidence: &Evidence, file: &Path) -> anyhow::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut text = evidence.to_json();
    text.push('\n');
    // A temporary file is made with mode 0600.
    let written = tempfile::NamedTempFile::new_in(directory).and_then(|mut temporary| {
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(file).map_err(|error| error.error)
    });
    written.with_context(|| format!("write the bundle {}", file.display()))?;
    eprintln!(
        "wrote {} pieces of evidence to {}; secrets' values are not in it",
        evidence.items().len(),
        file.display()
    );
    Ok(())
}

/// The manifests at a path, in the order of their names.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path == Path::new("-") || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))? {
            let entry = entry.with_context(|| format!("list {}", directory.display()))?;
            let path = entry.path();
            let kind = entry.file_type().with_context(|| format!("look at {}", path.display()))?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let manifest = path.extension().and_then(|end| end.to_str()).is_some_and(|end| MANIFESTS.contains(&end));
            // Links to directories are not followed: they may lead in a circle.
            if kind.is_dir() && !hidden {
                directories.push(path);
            } else if manifest && path.is_file() {
                found.push(path);
            }
        }
        if found.len() > MAX_FILES {
            bail!("{} holds more than {MAX_FILES} manifests: name a smaller directory", path.display());
        }
    }
    if found.is_empty() {
        bail!("{} holds no manifests: no file ends in .yaml, .yml or .json", path.display());
    }
    found.sort();
    Ok(found)
}

/// Reads a file or, for `-`, standard input, as [`paste::decoded`] understands it.
fn read(file: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let taken = if file == Path::new("-") {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(file).and_then(|open| open.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    taken.with_context(|| format!("read {}", shown(file)))?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("{} is larger than {} MiB: cut it to what matters", shown(file), MAX_BYTES >> 20);
    }
    paste::decoded(bytes).map_err(|why| anyhow::anyhow!("{} {why}", shown(file)))
}

fn shown(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}
