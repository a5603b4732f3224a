//! Workloads that would pull although the image is staged: told, with the patch; patched when asked for.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;
use cri::import::ImageName;
use operate::seed::{PolicyPatch, StillPulls, still_pulls};

use super::stage::Receipt;
use crate::cli::seed::ImageSeed;
use crate::reach::Reached;

/// Kinds that have pods' specs: kind, group's path, resource.
const WORKLOADS: [(&str, &str, &str); 7] = [
    ("Deployment", "/apis/apps/v1", "deployments"),
    ("StatefulSet", "/apis/apps/v1", "statefulsets"),
    ("DaemonSet", "/apis/apps/v1", "daemonsets"),
    ("ReplicaSet", "/apis/apps/v1", "replicasets"),
    ("Job", "/apis/batch/v1", "jobs"),
    ("CronJob", "/apis/batch/v1", "cronjobs"),
    ("Pod", "/api/v1", "pods"),
];

pub(super) async fn check(
    reached: &Reached,
    name: &ImageName,
    held: &mut Receipt,
    arguments: &ImageSeed,
) -> anyhow::Result<()> {
    let mut objects = Vec::new();
    for (kind, group, resource) in WORKLOADS {
        match reached.list(&format!("{group}/{resource}"), kind).await {
            Ok(found) => objects.extend(found),
            Err(error) => eprintln!("note: not checked which {resource} would still pull: {error:#}"),
        }
    }
    for found in still_pulls(&objects, name) {
        let StillPulls { kind, namespace, name: workload, container, why, .. } = &found;
        eprintln!("warning: {kind} {namespace}/{workload}, container {container}, would still pull: {why}");
        let Some(patch) = &found.patch else {
            eprintln!("  a pod's policy can't be changed: create it anew with imagePullPolicy: IfNotPresent");
            continue;
        };
        let resource = kind.to_lowercase();
        eprintln!("  kubectl -n {namespace} patch {resource} {workload} --type strategic -p '{patch}'");
        if arguments.patch_policy && (arguments.yes || asked(&format!("  patch {kind} {namespace}/{workload}?"))?) {
            apply(reached, held, &found).await?;
            eprintln!("  patched");
        }
    }
    Ok(())
}

async fn apply(reached: &Reached, held: &mut Receipt, found: &StillPulls) -> anyhow::Result<()> {
    let Some(patch) = &found.patch else { return Ok(()) };
    let Some((_, group, resource)) = WORKLOADS.iter().find(|(kind, _, _)| *kind == found.kind) else { return Ok(()) };
    let record = PolicyPatch {
        kind: found.kind.clone(),
        namespace: found.namespace.clone(),
        name: found.name.clone(),
        container: found.container.clone(),
        before: found.policy.clone(),
    };
    held.change(|receipt| {
        let same = |other: &PolicyPatch| {
            PolicyPatch { before: None, ..other.clone() } == PolicyPatch { before: None, ..record.clone() }
        };
        if !receipt.patches.iter().any(same) {
            receipt.patches.push(record.clone());
        }
    })?;
    let path = format!("{group}/namespaces/{}/{resource}/{}", found.namespace, found.name);
    reached.patch(&path, patch).await
}

/// Asks a person; without one the answer is no.
fn asked(question: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        eprintln!("{question} not asked: there is no terminal (--yes patches without asking)");
        return Ok(false);
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush().context("ask")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
