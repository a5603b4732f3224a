//! A config.toml that was written for another generation of containerd.

use std::time::Duration;

use super::Drill;
use super::stage::{CONFIG, Stage, deployment, web};

pub(super) const DRILL: Drill = Drill {
    name: "other-version",
    title: "one worker forgets its settings",
    story: "\
The second worker got its config.toml from the template for the new hosts. containerd starts without a complaint, the
node is Ready, and no new pod gets as far as its containers there.

  kubectl describe pods -l app=shop
  shipmate shell --name drill node-2 containerd --version
  shipmate shell --name drill node-2 cat /etc/containerd/config.toml",
    hints: &[
        "From where does the node want its sandbox image, and what does config.toml say about that?",
        "containerd does not complain about tables that it does not know. Which of these does this version know?",
        "`version = 3` and `io.containerd.cri.v1.…` belong to containerd 2; the plugin of 1.x is `io.containerd.grpc.v1.cri`.",
    ],
    cause: "containerd-config-version-mismatch",
    needs: &[],
    start,
    check,
    solve,
};

/// What the file has, and what a file of version 3 has in its place. In this order: longer names first.
const NAMES: [(&str, &str); 3] = [
    ("version = 2", "version = 3"),
    ("plugins.\"io.containerd.grpc.v1.cri\".registry", "plugins.\"io.containerd.cri.v1.images\".registry"),
    ("plugins.\"io.containerd.grpc.v1.cri\"", "plugins.\"io.containerd.cri.v1.runtime\""),
];

fn start(stage: &Stage) -> anyhow::Result<()> {
    let version = stage.run(2, "containerd", &["--version"])?;
    anyhow::ensure!(
        version.contains(" 1.") || version.contains(" v1."),
        "this drill needs containerd 1.x, and this machine has {}: a file of version 3 is right there",
        version.trim()
    );
    stage.configure(2, |text| NAMES.iter().fold(text, |text, (known, unknown)| text.replace(known, unknown)))?;
    // Whether that counts as serving or not: what it does from now on is the drill.
    drop(stage.restart(2));
    stage.apply(&[deployment("shop", &web())])?;
    stage.wait("a pod that does not start", Duration::from_secs(90), |stage| {
        Ok(stage.events("FailedCreatePodSandBox")? > 0)
    })
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let (mut wrong, text) = (stage.unready("app=shop")?, stage.read(2, CONFIG)?);
    if NAMES.iter().skip(1).any(|(_, unknown)| text.contains(unknown)) {
        wrong.push("the second node's containerd still does not know its settings".to_owned());
    }
    Ok(wrong)
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("writing the second node's settings under the names that its containerd knows, and restarting it");
    stage.configure(2, |text| NAMES.iter().fold(text, |text, (known, unknown)| text.replace(unknown, known)))?;
    stage.restart(2)
}
