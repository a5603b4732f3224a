//! A registry that speaks plain http, and workers that were never told.

use super::stage::{Stage, deployment};
use super::{Drill, registry};

pub(super) const DRILL: Drill = Drill {
    name: "plain-http",
    title: "an image from a new registry that no worker can pull",
    story: "\
The new registry answers in every browser: `curl http://REGISTRY/v2/_catalog` lists the image on both workers. The
deployment `shop`, which uses that image, never gets a pod to run.

  kubectl describe pods -l app=shop
  shipmate shell --name drill node-1 ls -R /etc/containerd",
    hints: &[
        "Which scheme does containerd use, and which does the registry speak?",
        "containerd takes https for every host of which it has not been told otherwise.",
        "Under config_path each registry host may have a directory with a hosts.toml; there is none for this one.",
    ],
    cause: "http-registry-not-declared",
    needs: &[registry::NEEDS],
    start,
    check,
    solve,
};

fn start(stage: &Stage) -> anyhow::Result<()> {
    let image = registry::start(stage, &registry::Settings::default())?;
    stage.apply(&[deployment("shop", &image)])?;
    stage.wait_for_reason("app=shop", &["ErrImagePull", "ImagePullBackOff"])
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    stage.unready("app=shop")
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("declaring the registry as plain http, in its hosts.toml on both nodes");
    registry::declare(stage, "http", "")
}
