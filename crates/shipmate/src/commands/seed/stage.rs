//! `shipmate image seed`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow, bail};
use cri::import::{ImageName, ImageSource, Platform};
use operate::registry::Repository;
use operate::seed::{ContentDir, Held, Outcome, Pull, Stage, Target, image_in, pull, stage};
use serde_json::{Value, json};

use super::bars::Bars;
use super::credentials::{Asker, here};
use super::{Ways, now, policy, receipts, short, state, ways};
use crate::cli::Format;
use crate::cli::seed::ImageSeed;
use crate::output;
use crate::reach::{self, Reached};

type Sources = BTreeMap<Platform, Result<Arc<ImageSource>, String>>;

pub(super) async fn run(arguments: &ImageSeed) -> anyhow::Result<ExitCode> {
    let name: ImageName = arguments.reference.parse()?;
    let reached = reach::connect(&arguments.reach).await?;
    let ways = chosen(&reached, arguments).await?;
    if arguments.dry_run {
        return plan(&name, &ways, arguments);
    }
    if ways.targets.is_empty() {
        bail!("no node can be reached: {}", reasons(&ways));
    }
    let bars = Arc::new(Bars::new());
    let waiting = || bars.say(&format!("another `image seed` of {name} is at work: waiting for it"));
    let mut held = receipts(&reached)?.take(&reached.identity().await, &name.to_string(), &now(), waiting)?;
    held.change(|receipt| {
        receipt.plain_http = arguments.ask.plain_http;
        receipt.archive = arguments.from.as_ref().map(|file| file.display().to_string());
    })?;
    let (sources, content) = sources(&name, arguments, &reached, &ways.targets, &bars).await?;
    let held = Mutex::new(held);
    let told = bars.clone();
    let what = Stage {
        name: &name,
        sources: &sources,
        held: &held,
        now: &now,
        watch: Arc::new(move |node, event| told.staged(node, event)),
    };
    let outcomes = stage(&ways.targets, &what).await;
    bars.end();
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count() + ways.without.len();
    if failed == 0
        && let Some(content) = content
    {
        // The nodes have it; on a failure it stays for the next attempt.
        content.remove().context("remove the pulled image")?;
    }
    report(&name, &outcomes, &ways, arguments.output.output)?;
    notes(&outcomes);
    let mut held = held.into_inner().map_err(|_| anyhow!("staging broke off"))?;
    policy::check(&reached, &name, &mut held, arguments).await?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The nodes asked for: those that take ordinary pods, or those of the selector.
async fn chosen(reached: &Reached, arguments: &ImageSeed) -> anyhow::Result<Ways> {
    let nodes = reached.nodes(arguments.nodes.as_deref()).await?;
    let selected: Vec<_> = nodes.into_iter().filter(|node| arguments.nodes.is_some() || node.takes_pods()).collect();
    if selected.is_empty() {
        match &arguments.nodes {
            Some(selector) => bail!("no node has the labels {selector}: `kubectl get nodes --show-labels`"),
            None => bail!("no node takes ordinary pods: choose nodes by --nodes SELECTOR"),
        }
    }
    Ok(ways(reached, &selected).await)
}

fn reasons(ways: &Ways) -> String {
    let mut reasons: Vec<&str> = ways.without.iter().map(|(_, why)| why.as_str()).collect();
    reasons.dedup();
    reasons.join("; ")
}

fn plan(name: &ImageName, ways: &Ways, arguments: &ImageSeed) -> anyhow::Result<ExitCode> {
    let from = match &arguments.from {
        Some(archive) => format!("from {}", archive.display()),
        None => format!("pulled from {}", operate::registry::serving_host(&name.domain)),
    };
    let mut text = format!("{name}, {from}, would go into:\n");
    for target in &ways.targets {
        text.push_str(&format!("  {} ({})\n", target.node(), target.platform));
    }
    for (node, why) in &ways.without {
        text.push_str(&format!("not into {node}: {why}\n"));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The image for each platform that is needed, and where it was pulled to.
async fn sources(
    name: &ImageName,
    arguments: &ImageSeed,
    reached: &Reached,
    targets: &[Target],
    bars: &Arc<Bars>,
) -> anyhow::Result<(Sources, Option<ContentDir>)> {
    let platforms: BTreeSet<Platform> = targets.iter().map(|target| target.platform.clone()).collect();
    if let Some(archive) = &arguments.from {
        let spooled = Spooled::of(archive)?;
        let sources = open(spooled.path().to_owned(), name, platforms, false).await;
        // Nothing can be done anywhere: one reason is enough.
        if let Some(why) = sources.values().find_map(|source| source.as_ref().err())
            && sources.values().all(Result::is_err)
        {
            bail!("{}: {why}", archive.display());
        }
        return Ok((sources, None));
    }
    let options = Asker::new(&arguments.ask)?.options(name, reached).await?;
    let repository = Repository::of(name, here(&options), &options)?;
    let directory = ContentDir::open(&state(reached)?.join("seed-content"), name).context("make a directory")?;
    let told = bars.clone();
    let what = Pull {
        name,
        platforms: &platforms,
        directory: &directory,
        progress: Arc::new(move |event| told.pulled(event)),
    };
    let pulled = pull(&repository, &what).await;
    if pulled.is_err() {
        bars.end();
    }
    pulled.with_context(|| format!("pull {name}"))?;
    let sources = open(directory.path().to_owned(), name, platforms, true).await;
    Ok((sources, Some(directory)))
}

async fn open(path: PathBuf, name: &ImageName, platforms: BTreeSet<Platform>, pulled: bool) -> Sources {
    let mut sources = BTreeMap::new();
    for platform in platforms {
        let (path, name, wanted) = (path.clone(), name.clone(), platform.clone());
        let reading = tokio::task::spawn_blocking(move || image_in(&path, &name, &wanted, pulled));
        let source = reading.await.unwrap_or_else(|error| Err(error.to_string()));
        sources.insert(platform, source.map(Arc::new));
    }
    sources
}

/// An archive as a file: standard input is copied to one, since images are read out of order.
enum Spooled {
    Given(PathBuf),
    Copy(tempfile::NamedTempFile),
}

impl Spooled {
    fn of(archive: &Path) -> anyhow::Result<Self> {
        if archive != Path::new("-") {
            return Ok(Self::Given(archive.to_owned()));
        }
        let mut file = tempfile::NamedTempFile::new().context("make a temporary file for the archive")?;
        io::copy(&mut io::stdin().lock(), &mut file).context("copy the archive from standard input")?;
        file.flush().context("copy the archive from standard input")?;
        Ok(Self::Copy(file))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Copy(file) => file.path(),
        }
    }
}

fn report(name: &ImageName, outcomes: &[Outcome], ways: &Ways, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let nodes: Vec<Value> = outcomes.iter().map(json).chain(ways.without.iter().map(unreached)).collect();
        return output::print_json(&json!({"image": name.to_string(), "nodes": nodes}));
    }
    let row = |outcome: &Outcome| match &outcome.result {
        Ok(done) => {
            let how = if done.was_there { "there before, verified and pinned" } else { "staged, verified" };
            vec![outcome.node.clone(), how.to_owned(), short(done.digest.as_str()), done.way.to_owned()]
        }
        Err(error) => vec![outcome.node.clone(), format!("failed: {error}"), "-".to_owned(), "-".to_owned()],
    };
    let without = |(node, why): &(String, String)| {
        vec![node.clone(), format!("not reached: {why}"), "-".to_owned(), "-".to_owned()]
    };
    let rows: Vec<_> = outcomes.iter().map(row).chain(ways.without.iter().map(without)).collect();
    output::print_table(&["NODE", "RESULT", "DIGEST", "BY"], &rows)
}

fn json(outcome: &Outcome) -> Value {
    match &outcome.result {
        Ok(done) => json!({
            "node": outcome.node, "staged": true, "digest": done.digest.as_str(), "manifest": done.manifest.as_str(),
            "wasThere": done.was_there, "way": done.way, "pinned": done.pins, "containerd": done.version,
        }),
        Err(error) => json!({"node": outcome.node, "staged": false, "error": error.to_string()}),
    }
}

fn unreached((node, why): &(String, String)) -> Value {
    json!({"node": node, "staged": false, "error": why})
}

/// What the table has no place for.
fn notes(outcomes: &[Outcome]) {
    let done = || outcomes.iter().filter_map(|outcome| Some((outcome, outcome.result.as_ref().ok()?)));
    let old: Vec<&str> = done().filter(|(_, done)| !done.pins).map(|(outcome, _)| outcome.node.as_str()).collect();
    if let Some((_, first)) = done().find(|(_, done)| !done.pins) {
        eprintln!(
            "note: containerd {} on {} does not know pins: when the disk fills up, the kubelet may remove the image while \
             no container uses it",
            first.version,
            old.join(", ")
        );
    }
    for outcome in outcomes.iter().filter(|outcome| outcome.result.as_ref().is_err_and(|error| error.disk_full())) {
        eprintln!("note: the disk of {} is full: free some there, then run the same command again", outcome.node);
    }
}

/// The receipt, for [`policy`].
pub(super) type Receipt = Held;
