//! `shipmate drill`: incidents to practise on.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use sandbox::layout::{Home, Name};
use sandbox::{Cluster, Sandbox, kubeconfig};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::start;
use crate::cli::{Drill as Arguments, DrillCommand, Format};
use crate::drill::{DRILLS, Drill, Stage, find};
use crate::output;

/// Nodes of a drill's cluster.
const NODES: u32 = 2;

/// What is remembered of a drill that runs.
#[derive(Serialize, Deserialize)]
struct Running {
    drill: String,
    /// Hints that were given.
    hints: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        DrillCommand::List { output } => list(output.output)?,
        DrillCommand::Start { drill } => begin(arguments, drill)?,
        DrillCommand::Hint => hint(arguments)?,
        DrillCommand::Check => return check(arguments),
        DrillCommand::Solve => {
            let (drill, stage, _) = open(arguments)?;
            (drill.solve)(&stage)?;
            eprintln!("`shipmate drill check` tells when it is mended");
        }
        DrillCommand::Reset => reset(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let drills = DRILLS.iter().map(|drill| json!({"name": drill.name, "title": drill.title}));
        return output::print_json(&drills.collect::<Vec<_>>());
    }
    let widest = DRILLS.iter().map(|drill| drill.name.len()).max().unwrap_or_default();
    let lines = DRILLS.iter().map(|drill| format!("{:widest$}  {}\n", drill.name, drill.title));
    output::print(&lines.collect::<String>())
}

fn begin(arguments: &Arguments, drill: &str) -> anyhow::Result<()> {
    let Some(drill) = find(drill) else {
        bail!("there is no drill {drill}: `shipmate drill list` shows them");
    };
    let missing = drill.needs.iter().filter(|(program, _)| sandbox::command::find(program).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if !packages.is_empty() {
        bail!("this drill needs what is not installed: `apt-get install --yes {}`", packages.join(" "));
    }
    let (home, name) = place(arguments)?;
    if let Some(cluster) = Cluster::find(&home, &name)? {
        let running = remembered(&cluster).map(|running| running.drill).unwrap_or_default();
        bail!(
            "cluster {name} exists already{}: `shipmate drill reset` deletes it",
            if running.is_empty() { String::new() } else { format!(", with drill {running}") }
        );
    }
    start::create(&name, NODES)?;
    let cluster = Cluster::find(&home, &name)?.context("the cluster vanished")?;
    remember(&cluster, &Running { drill: drill.name.to_owned(), hints: 0 })?;
    eprintln!("breaking something …");
    (drill.start)(&Stage::of(home, cluster))?;
    output::print(&format!(
        "\n{}\n\nFind it and mend it. `shipmate doctor` may be asked; `shipmate drill hint` helps a little, \
         `shipmate drill check` tells when it is mended, `shipmate drill solve` shows how, `shipmate drill reset` ends it.\n",
        drill.story
    ))
}

fn hint(arguments: &Arguments) -> anyhow::Result<()> {
    let (drill, stage, mut running) = open(arguments)?;
    let Some(hint) = drill.hints.get(running.hints) else {
        return output::print("There are no more hints: `shipmate drill solve` mends it and tells each step.\n");
    };
    output::print(&format!("Hint {} of {}: {hint}\n", running.hints + 1, drill.hints.len()))?;
    running.hints += 1;
    remember(stage.cluster(), &running)
}

fn check(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (drill, stage, _) = open(arguments)?;
    let wrong = (drill.check)(&stage)?;
    if wrong.is_empty() {
        output::print(&format!(
            "Mended. The cause was {}: `shipmate explain {}` says more.\n",
            drill.cause, drill.cause
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&format!(
        "Not yet:\n{}\n",
        wrong.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    ))?;
    Ok(ExitCode::FAILURE)
}

fn reset(arguments: &Arguments) -> anyhow::Result<()> {
    let (home, name) = place(arguments)?;
    let Some(sandbox) = Sandbox::open_to_delete(&home, &name)? else {
        bail!("no drill runs: there is no cluster {name}");
    };
    // Only what a drill made: a cluster of that name may be somebody's.
    if remembered(sandbox.cluster()).is_none() {
        bail!("cluster {name} was not made by a drill: `shipmate delete --name {name}` deletes it");
    }
    sandbox.delete(&kubeconfig::files()?)?;
    eprintln!("the drill is over; its cluster {name} is gone");
    Ok(())
}

fn place(arguments: &Arguments) -> anyhow::Result<(Home, Name)> {
    Ok((Home::from_env()?, arguments.name.parse()?))
}

fn open(arguments: &Arguments) -> anyhow::Result<(&'static Drill, Stage, Running)> {
    let (home, name) = place(arguments)?;
    let none = || format!("no drill runs in cluster {name}: `shipmate drill start NAME` begins one");
    let cluster = Cluster::find(&home, &name)?.with_context(none)?;
    let running = remembered(&cluster).with_context(none)?;
    let drill = find(&running.drill).with_context(|| format!("this version has no drill {}", running.drill))?;
    Ok((drill, Stage::of(home, cluster), running))
}

fn file(cluster: &Cluster) -> PathBuf {
    cluster.dir().path().join("drill.json")
}

fn remembered(cluster: &Cluster) -> Option<Running> {
    serde_json::from_slice(&std::fs::read(file(cluster)).ok()?).ok()
}

fn remember(cluster: &Cluster, running: &Running) -> anyhow::Result<()> {
    let path = file(cluster);
    std::fs::write(&path, serde_json::to_vec(running)?).with_context(|| format!("write {}", path.display()))
}
