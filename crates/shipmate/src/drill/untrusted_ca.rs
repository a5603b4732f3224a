//! A registry whose certificate is of an authority that the nodes do not know.

use super::stage::{Stage, deployment};
use super::{Drill, certificate, registry};

pub(super) const DRILL: Drill = Drill {
    name: "untrusted-ca",
    title: "an image from a registry with a certificate of its own",
    story: "\
The registry was given a certificate by the company's own authority. Developers' machines trust that one; the
deployment `shop` can't pull its image on either worker.

  kubectl describe pods -l app=shop",
    hints: &[
        "Read the end of the Failed event: who is not known?",
        "Which authority signed the certificate, and where would containerd look for it?",
        "The authority is the file ca.crt in the directory `drill` of the cluster; hosts.toml has a key for it.",
    ],
    cause: "registry-ca-untrusted",
    needs: &[registry::NEEDS],
    start,
    check,
    solve,
};

fn start(stage: &Stage) -> anyhow::Result<()> {
    let files = certificate::make(stage, 0)?;
    let image = registry::start(stage, &registry::Settings { tls: Some(&files), ..registry::Settings::default() })?;
    stage.apply(&[deployment("shop", &image)])?;
    stage.wait_for_reason("app=shop", &["ErrImagePull", "ImagePullBackOff"])
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    stage.unready("app=shop")
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("naming the authority's certificate in hosts.toml on both nodes");
    registry::trust(stage)
}
