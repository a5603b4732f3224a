//! A blank at the beginning of one worker's mirror endpoint.

use super::stage::{Stage, deployment};
use super::{Drill, registry};

pub(super) const DRILL: Drill = Drill {
    name: "blank-in-endpoint",
    title: "an image that one of two workers can't pull",
    story: "\
The shop's image lies in a private registry on port 5000, plain http, and both workers have it as a mirror in their
containerd configuration. After the move to new hosts the deployment `shop` has one pod that runs, and one whose image
can't be pulled. Names resolve; `curl` of the registry works on both nodes.

  kubectl get pods -l app=shop -o wide
  kubectl describe pods -l app=shop",
    hints: &[
        "The same image, the same registry, two nodes, two results: what do the nodes not have in common?",
        "Read the event to its end: which URL could not be parsed, and what stands right behind its opening quote?",
        "`shipmate doctor` shows the line. Until it is mended, `shipmate image seed` brings the image to the node without a pull.",
    ],
    cause: "endpoint-surrounding-whitespace",
    needs: &[registry::NEEDS],
    start,
    check,
    solve,
};

const BLANK: &str = "endpoint = [\" http://";
const CLEAN: &str = "endpoint = [\"http://";

fn start(stage: &Stage) -> anyhow::Result<()> {
    let image = registry::start(stage, &registry::Settings::default())?;
    let host = registry::host(stage)?;
    for (number, endpoint) in [(1, CLEAN), (2, BLANK)] {
        stage.configure(number, |text| with_mirror(&text, &host, endpoint))?;
        stage.restart(number)?;
    }
    stage.apply(&[deployment("shop", &image)])?;
    stage.wait_for_reason("app=shop", &["ErrImagePull", "ImagePullBackOff"])
}

/// The configuration with a mirrors table, as it was written before there was `config_path`.
fn with_mirror(text: &str, host: &str, endpoint: &str) -> String {
    let text = text.replace("config_path = \"/etc/containerd/certs.d\"", "config_path = \"\"");
    format!("{text}\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"{host}\"]\n  {endpoint}{host}\"]\n")
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let mut wrong = stage.unready("app=shop")?;
    if stage.read(2, super::stage::CONFIG)?.contains(BLANK) {
        wrong.push("node 2 still could not pull the image by itself".to_owned());
    }
    Ok(wrong)
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("deleting the blank in {} of the second node", super::stage::CONFIG);
    stage.configure(2, |text| text.replace(BLANK, CLEAN))?;
    eprintln!("restarting its containerd");
    stage.restart(2)
}
