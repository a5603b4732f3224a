//! A program that needs more memory than its limit.

use serde_json::{Value, json};

use super::Drill;
use super::stage::{Stage, deployment, web};

pub(super) const DRILL: Drill = Drill {
    name: "out-of-memory",
    title: "a pod that restarts every few seconds",
    story: "\
The new version of `shop` runs for a few seconds, and again, and again. Its log ends in the middle, without an error.

  kubectl get pods -l app=shop
  kubectl logs -l app=shop --previous
  kubectl describe pods -l app=shop",
    hints: &[
        "How did the last run end: which reason, which exit code?",
        "137 is a SIGKILL. Who sends one?",
        "Either its limit is too low, or it takes too much: its environment says LEAK.",
    ],
    cause: "oom-killed",
    needs: &[],
    start,
    check,
    solve,
};

fn shop(environment: Value) -> Value {
    let mut shop = deployment("shop", &web());
    let container = &mut shop["spec"]["template"]["spec"]["containers"][0];
    container["resources"] = json!({"limits": {"memory": "48Mi"}});
    container["env"] = environment;
    shop
}

fn start(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&[shop(json!([{"name": "LEAK", "value": "24"}]))])?;
    stage.wait_for_reason("app=shop", &["OOMKilled", "CrashLoopBackOff"])
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let mut wrong = stage.unready("app=shop")?;
    for pod in stage.pods("app=shop")? {
        if pod["spec"]["containers"][0]["env"].to_string().contains("LEAK") {
            wrong.push(format!("pod {} still takes more and more memory", pod["metadata"]["name"]));
        }
    }
    Ok(wrong)
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("rolling out a version that does not leak");
    stage.apply(&[shop(json!([]))])
}
