//! An object that is still applied in an API version which the next Kubernetes does not have.

use serde_json::{Value, json};

use super::Drill;
use super::stage::{Stage, deployment, web};

pub(super) const DRILL: Drill = Drill {
    name: "upgrade-breaks",
    title: "an upgrade after which the next deployment fails",
    story: "\
The cluster is to be upgraded tonight. Everything runs, nothing warns. On another cluster the pipeline could not deploy
`shop` any more after the same upgrade, and nobody knows whether this one is ready.

  kubectl get deployments,poddisruptionbudgets
  shipmate doctor upgrade --to 1.37",
    hints: &[
        "The API server shows every object in the version that is asked for. In which version does the pipeline apply it?",
        "`kubectl apply` keeps what it applied last in an annotation of the object.",
        "`kubectl get pdb shop -o yaml` shows it: policy/v1beta1 has been gone since 1.25.",
    ],
    cause: "upgrade-removed-api-applied",
    needs: &[],
    start,
    check,
    solve,
};

const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The budget, as a pipeline applied it in this version.
fn budget(api_version: &str) -> Value {
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "shop"}}});
    let applied = json!({"apiVersion": api_version, "kind": "PodDisruptionBudget",
        "metadata": {"annotations": {}, "name": "shop", "namespace": "default"}, "spec": spec});
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "shop", "annotations": {APPLIED: format!("{applied}\n")}},
        "spec": spec,
    })
}

fn start(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&[deployment("shop", &web()), budget("policy/v1beta1")])?;
    stage.wait("the pods of the shop", std::time::Duration::from_secs(60), |stage| {
        Ok(stage.unready("app=shop")?.is_empty())
    })
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let found = stage.get("policy/v1", "PodDisruptionBudget", "shop")?;
    let applied = found.as_ref().and_then(|budget| budget["metadata"]["annotations"][APPLIED].as_str());
    Ok(match applied {
        Some(applied) if applied.contains("policy/v1beta1") => {
            vec!["the PodDisruptionBudget shop was last applied as policy/v1beta1".to_owned()]
        }
        _ => Vec::new(),
    })
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("applying the budget as policy/v1");
    stage.apply(&[budget("policy/v1")])
}
