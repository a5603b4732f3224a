//! `shipmate export`, `diff`, `restore`: the cluster as files.
//!
//! Here is what a person sees. What is read, cleaned, written and compared is `operate::export`'s.

mod diff;
mod restore;
mod secrets;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use operate::export::git::{GitError, Repository};
use operate::export::{self, ExportError, Exported, Failed, Options};

use crate::cli::export::{Diff, Export, Layout, Restore};
use crate::reach;

/// Exit code when some kinds could not be read.
const IN_PART: u8 = 4;
/// Exit code when git did not commit.
const NOT_COMMITTED: u8 = 5;
/// How often the bar turns.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn export(arguments: &Export) -> anyhow::Result<ExitCode> {
    on_runtime(until_interrupted(run(arguments)))
}

pub(crate) fn diff(arguments: &Diff) -> anyhow::Result<ExitCode> {
    diff::code(on_runtime(diff::run(arguments)))
}

pub(crate) fn restore(arguments: &Restore) -> anyhow::Result<ExitCode> {
    on_runtime(restore::run(arguments))
}

fn on_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(work)
}

/// Ends the work at an interrupt in a way that lets it tidy up.
async fn until_interrupted(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    use tokio::signal::unix::{SignalKind, signal};
    // Before the work begins: a signal that nobody listens to ends the program at once, and leaves its files.
    let mut interrupted = signal(SignalKind::interrupt()).context("listen for signals")?;
    let mut ended = signal(SignalKind::terminate()).context("listen for signals")?;
    tokio::select! {
        done = work => done,
        _ = interrupted.recv() => bail!("interrupted; the directory is as it was"),
        _ = ended.recv() => bail!("ended; the directory is as it was"),
    }
}

async fn run(arguments: &Export) -> anyhow::Result<ExitCode> {
    let wish = secrets::wish(&arguments.secrets)?;
    let sealing = secrets::sealing(wish.recipients, &arguments.identity)?;
    let options = Options {
        namespaces: arguments.namespace.clone(),
        kinds: arguments.kinds.clone(),
        all: arguments.all,
        selector: arguments.selector.clone(),
        raw: arguments.raw,
        secrets: wish.secrets,
        layout: match arguments.layout {
            Layout::Tree => export::Layout::Tree,
            Layout::Flat => export::Layout::Flat,
        },
    };
    if arguments.git && wish.secrets == export::Secrets::Plain && !wish.twice {
        bail!(
            "git would remember secrets in the clear for ever: encrypt them (--secrets age:RECIPIENT), or say \
               --secrets plain twice"
        );
    }
    let repository = match arguments.git {
        true => Some(Repository::look(&arguments.directory).await?),
        false => None,
    };
    let reached = reach::connect(&arguments.api.reach()).await?;
    let bar = bar();
    let exported = export::export(&reached.client, &arguments.directory, &options, &sealing, |objects| {
        bar.set_position(u64::try_from(objects).unwrap_or(u64::MAX));
    });
    let exported = exported.await;
    bar.finish_and_clear();
    let exported = exported.map_err(|error| match error {
        ExportError::Io { .. } => {
            anyhow!("{error}; nothing was exported, and {} is as it was", arguments.directory.display())
        }
        error => error.into(),
    })?;
    let index = &exported.index;
    let (kinds, directory) = (index.exported.len(), arguments.directory.display());
    eprintln!("exported {} objects of {kinds} kinds to {directory}", exported.objects);
    if !index.secrets_without_values.is_empty() {
        let count = index.secrets_without_values.len();
        eprintln!("{count} secrets are without their values (--secrets age:RECIPIENT encrypts them)");
    }
    if let Some(why) = exported.anew {
        eprintln!("all secrets are encrypted anew: {why}");
    }
    if exported.kept > 0 {
        eprintln!("{} files of kinds that could not be read now stay as they were", exported.kept);
    }
    let in_part = tell_failed(&index.failed);
    if let Some(repository) = repository
        && let Err(error) = commit(&repository, &exported, &reached.context).await
    {
        eprintln!("error: exported, but not committed: {error}");
        return Ok(ExitCode::from(NOT_COMMITTED));
    }
    Ok(if in_part { ExitCode::from(IN_PART) } else { ExitCode::SUCCESS })
}

async fn commit(repository: &Repository, exported: &Exported, context: &str) -> Result<(), GitError> {
    match repository.commit(&exported.paths, context).await? {
        None => eprintln!("nothing changed: there is no commit"),
        Some(commit) => {
            eprintln!("committed {}: {}", commit.id, commit.changes.summary());
            if commit.nobody {
                eprintln!(
                    "it is by Shipmate <shipmate@localhost>: `git config user.name` and `user.email` say who you are"
                );
            }
        }
    }
    Ok(())
}

/// Says what could not be read; whether there is any.
fn tell_failed(failed: &[Failed]) -> bool {
    for one in failed {
        eprintln!("not read: {}: {}", one.what, one.why);
    }
    !failed.is_empty()
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} objects, {elapsed}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(TICK);
    bar
}
