//! `shipmate doctor --fix`: shows what would change, asks, changes it, and looks whether it helped.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use doctor::finding::Fix;
use doctor::render;
use doctor::{Applicability, Evidence, Finding, Report};
use operate::change::{self, Plan, Receipt, Store};

use super::{COULD_NOT_LOOK, Seen, look, show, verdict};
use crate::cli::doctor::{Doctor, Subject};

/// What a fix is chosen for.
struct Chosen<'a> {
    finding: &'a Finding,
    fix: &'a Fix,
}

/// Mends what can be mended. Exit codes as without `--fix`, of the look afterwards.
pub(super) async fn run(arguments: &Doctor, seen: &Seen, report: Report) -> anyhow::Result<ExitCode> {
    if matches!(arguments.subject, Some(Subject::Text(_))) {
        bail!("pasted text can't be mended: run `shipmate doctor --fix` where the files are");
    }
    let chosen = choose(arguments, &report);
    let mut plan = Plan::default();
    let mut mending = Vec::new();
    for one in &chosen {
        let at = place(&seen.evidence, one.finding);
        eprintln!("{} {} ({at}): {}", one.finding.code, one.finding.title, one.fix.title);
        // What is not safe is asked one by one.
        let asks = one.fix.applicability == Applicability::Review && !arguments.mend.dry_run;
        if asks && !ask(arguments, &format!("mend it ({})?", one.fix.title))? {
            continue;
        }
        match plan.add(&seen.evidence, one.fix, &seen.ground).await {
            Ok(()) => mending.push(one),
            Err(refusal) => eprintln!("  not mended: {refusal}"),
        }
    }
    let left = report.findings.len() - mending.len();
    if plan.is_empty() {
        eprintln!("nothing to apply: {}", untouched(arguments, &report));
        show::report(arguments.look.output, &seen.evidence, &report)?;
        return verdict(&seen.evidence, &report);
    }
    preview(&plan)?;
    if arguments.mend.dry_run {
        eprintln!("nothing was changed (--dry-run)");
        return verdict(&seen.evidence, &report);
    }
    let question = format!("apply {} to mend {} of {} finding(s)?", amount(&plan), mending.len(), mending.len() + left);
    if !ask(arguments, &question)? {
        eprintln!("nothing was changed");
        return verdict(&seen.evidence, &report);
    }
    let codes = mending.iter().map(|one| format!("{} {}", one.finding.code, place(&seen.evidence, one.finding)));
    apply(arguments, seen, &plan, codes.collect()).await?;
    let fixed: Vec<(&'static str, String)> =
        mending.iter().map(|one| (one.finding.code, place(&seen.evidence, one.finding))).collect();
    again(arguments, &fixed).await
}

/// The first fix of each finding that may be applied: the safe ones, and with `--review` those that were agreed to.
fn choose<'a>(arguments: &Doctor, report: &'a Report) -> Vec<Chosen<'a>> {
    let allowed = |fix: &&Fix| {
        let changes = !fix.edits.is_empty() || !fix.patches.is_empty();
        let may = match fix.applicability {
            Applicability::Safe => true,
            Applicability::Review => arguments.mend.review,
            Applicability::Manual => false,
        };
        changes && may
    };
    let chosen = report.findings.iter().filter_map(|finding| {
        let mut fixes: Vec<&Fix> = finding.fixes.iter().filter(allowed).collect();
        // Stable: of equally safe ones the rule's first.
        fixes.sort_by_key(|fix| fix.applicability);
        fixes.first().map(|fix| Chosen { finding, fix })
    });
    chosen.collect()
}

/// Why nothing is applied.
fn untouched(arguments: &Doctor, report: &Report) -> String {
    let has = |wanted: Applicability| {
        report.findings.iter().flat_map(|finding| &finding.fixes).any(|fix| fix.applicability == wanted)
    };
    if report.findings.is_empty() {
        "nothing is wrong".to_owned()
    } else if has(Applicability::Review) && !arguments.mend.review {
        "there are fixes that need a look: `--fix --review` offers them".to_owned()
    } else {
        "what is left needs a person; the steps are below".to_owned()
    }
}

fn place(evidence: &Evidence, finding: &Finding) -> String {
    render::place(evidence, &finding.place)
}

/// What will change, as lines that go and come.
fn preview(plan: &Plan) -> anyhow::Result<()> {
    let mut text = String::from("changes:\n");
    for file in &plan.files {
        let node = file.node.as_ref().map(|node| format!("{node} ")).unwrap_or_default();
        text.push_str(&format!("{node}{}\n", file.path));
        let edits: Vec<_> = file.edits.iter().map(|(span, new)| (span.clone(), new.as_str())).collect();
        text.push_str(&render::changes(&file.old, &edits, show::look_at_stderr()));
    }
    for object in &plan.objects {
        text.push_str(&format!("{}\n  + {}\n", object.shown(), object.patch));
    }
    for (node, unit) in &plan.restarts {
        let on = node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        text.push_str(&format!("then restart {unit}{on}\n"));
    }
    io::stderr().lock().write_all(text.as_bytes()).context("show the changes")
}

fn amount(plan: &Plan) -> String {
    let number = plan.files.len() + plan.objects.len();
    if number == 1 { "1 change".to_owned() } else { format!("{number} changes") }
}

/// Asks on the terminal; `--yes` answers.
pub(super) fn ask(arguments: &Doctor, question: &str) -> anyhow::Result<bool> {
    if arguments.mend.yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        bail!("there is nobody to ask: `--yes` applies it, `--dry-run` only shows it");
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush().context("ask")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Makes the changes, and restarts what must be, after asking.
async fn apply(arguments: &Doctor, seen: &Seen, plan: &Plan, codes: Vec<String>) -> anyhow::Result<()> {
    let store = Store::of_user().context("there is no home directory for the receipt: set XDG_STATE_HOME")?;
    let told = |words: &str| eprintln!("{words}");
    let mut receipt = match change::apply(plan, codes, &seen.ground, &store, told).await {
        Ok(receipt) => receipt,
        Err((receipt, error)) => {
            if let Some(receipt) = receipt {
                tell_receipt(&receipt);
            }
            return Err(error).context("stopped");
        }
    };
    tell_receipt(&receipt);
    for (node, unit) in &plan.restarts {
        let on = node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        if !ask(arguments, &format!("restart {unit}{on}? Running containers go on."))? {
            eprintln!("{unit}{on} still runs with what it read before: restart it when it suits");
            continue;
        }
        change::restart(node.as_deref(), unit, &seen.ground, &store, &mut receipt).await?;
        eprintln!("restarted {unit}{on}");
    }
    Ok(())
}

fn tell_receipt(receipt: &Receipt) {
    eprintln!("receipt {id}: `shipmate doctor undo {id}` puts it back", id = receipt.id);
}

/// Looks anew, and says what became of what was to be mended.
async fn again(arguments: &Doctor, fixed: &[(&'static str, String)]) -> anyhow::Result<ExitCode> {
    let seen = look(arguments).await.context("look again")?;
    let report = doctor::examine(&seen.evidence);
    let is_there = |(code, at): &&(&'static str, String)| {
        report.findings.iter().any(|finding| finding.code == *code && place(&seen.evidence, finding) == *at)
    };
    let still: Vec<_> = fixed.iter().filter(is_there).collect();
    for (code, at) in &still {
        eprintln!("still there: {code} at {at}");
    }
    eprintln!("mended {} of {}", fixed.len() - still.len(), fixed.len());
    show::report(arguments.look.output, &seen.evidence, &report)?;
    verdict(&seen.evidence, &report).or(Ok(ExitCode::from(COULD_NOT_LOOK)))
}
