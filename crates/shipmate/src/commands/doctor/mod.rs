//! `shipmate doctor`: looks, tells what is wrong, mends it.
//!
//! One way for all subjects: evidence is taken in (live, from files, from a bundle), examined, kept if wished, shown, and
//! mended if wished. Where evidence comes from is the modules' [`live`] and [`given`]; how it is shown, [`show`].

mod fix;
mod given;
mod image;
mod live;
mod show;
mod undo;
mod watch;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use doctor::{Evidence, ItemKind, Report, Severity, redact};
use operate::change::Ground;

use crate::cli::doctor::{Doctor, Subject};

/// Exit code when nothing could be looked at.
const COULD_NOT_LOOK: u8 = 2;

/// What was taken in, and the ways by which it may be changed.
pub(super) struct Seen {
    /// The evidence. No secret's value is in it.
    pub(super) evidence: Evidence,
    /// Where fixes are applied.
    pub(super) ground: Ground,
}

pub(crate) fn run(arguments: &Doctor) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    match runtime.block_on(dispatch(arguments)) {
        Ok(code) => Ok(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(COULD_NOT_LOOK))
        }
    }
}

async fn dispatch(arguments: &Doctor) -> anyhow::Result<ExitCode> {
    if let Some(Subject::Undo(undo)) = &arguments.subject {
        return undo::run(undo, arguments).await;
    }
    if let Some(Subject::Image(image)) = &arguments.subject
        && arguments.look.from.is_none()
    {
        return image::run(image, arguments).await;
    }
    if let Some(seconds) = arguments.look.watch {
        return watch::run(arguments, seconds).await;
    }
    let seen = look(arguments).await?;
    if let Some(file) = &arguments.look.save {
        given::save(&seen.evidence, file)?;
    }
    let report = doctor::examine(&seen.evidence);
    if arguments.mend.fix {
        return fix::run(arguments, &seen, report).await;
    }
    show::report(arguments.look.output, &seen.evidence, &report)?;
    verdict(&seen.evidence, &report)
}

/// Takes evidence in. Secrets' values are taken out before anything else sees it.
async fn look(arguments: &Doctor) -> anyhow::Result<Seen> {
    let seen = match (&arguments.look.from, &arguments.subject) {
        (Some(_), Some(Subject::Manifests(_) | Subject::Text(_))) => {
            bail!("--from brings the evidence: leave out `manifests` and `text`")
        }
        (Some(bundle), subject) => Seen { evidence: given::bundle(bundle, subject.as_ref())?, ground: Ground::here() },
        (None, Some(Subject::Manifests(manifests))) => {
            Seen { evidence: given::manifests(manifests)?, ground: Ground::here() }
        }
        (None, Some(Subject::Text(text))) => Seen { evidence: given::text(text)?, ground: Ground::here() },
        (None, _) => live::collect(arguments).await?,
    };
    let Seen { evidence, ground } = seen;
    Ok(Seen { evidence: redact::evidence(evidence), ground })
}

/// The exit code.
fn verdict(evidence: &Evidence, report: &Report) -> anyhow::Result<ExitCode> {
    if report.findings.iter().any(|finding| finding.severity < Severity::Note) {
        return Ok(ExitCode::FAILURE);
    }
    let silent = evidence
        .items()
        .iter()
        .find(|item| item.kind == ItemKind::Unavailable && item.origin.0.starts_with("API server"));
    if let Some(silent) = silent {
        bail!("the cluster could not be looked at: {}: {}", silent.origin.0, silent.text.trim());
    }
    let looked_at = evidence.items().iter().any(|item| item.kind != ItemKind::Unavailable);
    if !looked_at {
        bail!("there was nothing to look at: no source could be read");
    }
    Ok(ExitCode::SUCCESS)
}
