//! A liveness probe that asks where nobody listens.

use std::time::Duration;

use serde_json::{Value, json};

use super::Drill;
use super::stage::{Stage, deployment, web};

pub(super) const DRILL: Drill = Drill {
    name: "probe-wrong",
    title: "a healthy program that is restarted for ever",
    story: "\
`shop` starts, logs that it listens, answers requests, and is restarted every few seconds.

  kubectl get pods -l app=shop
  kubectl logs -l app=shop
  kubectl describe pods -l app=shop",
    hints: &[
        "Who ends the container? Look at the events beside Unhealthy.",
        "What does the probe ask, and what does the log say about where the program listens?",
        "Ports of probe and program differ: 8081 and 8080.",
    ],
    cause: "liveness-probe-failing",
    needs: &[],
    start,
    check,
    solve,
};

fn shop(port: u16) -> Value {
    let mut shop = deployment("shop", &web());
    shop["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] =
        json!({"httpGet": {"path": "/healthz", "port": port}, "periodSeconds": 1, "failureThreshold": 2});
    shop
}

fn start(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&[shop(8081)])?;
    stage.wait("a restart", Duration::from_secs(60), |stage| {
        let restarts = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
        Ok(stage.pods("app=shop")?.iter().any(|pod| restarts(pod) > Some(0)))
    })
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let mut wrong = stage.unready("app=shop")?;
    for pod in stage.pods("app=shop")? {
        if pod["spec"]["containers"][0]["livenessProbe"]["httpGet"]["port"] == 8081 {
            wrong.push(format!("pod {} is still asked on port 8081", pod["metadata"]["name"]));
        }
    }
    Ok(wrong)
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("letting the probe ask on port 8080");
    stage.apply(&[shop(8080)])
}
