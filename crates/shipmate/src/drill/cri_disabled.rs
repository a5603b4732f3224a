//! `disabled_plugins` switches the CRI off, as the packages of a well-known vendor ship it.

use super::Drill;
use super::stage::Stage;

pub(super) const DRILL: Drill = Drill {
    name: "cri-disabled",
    title: "a runtime that vanished after a package upgrade",
    story: "\
On the second worker the containerd package was upgraded, and its configuration file was replaced on the way. containerd
runs, but the node no longer becomes Ready, and `crictl` and the kubelet say that nobody knows `runtime.v1.RuntimeService`.

  kubectl get nodes
  shipmate shell NODE ctr plugins ls",
    hints: &[
        "containerd is up and answers `ctr`. Which of its plugins is missing from `ctr plugins ls`?",
        "A plugin that is absent, not in error, was not even tried. Who can switch a plugin off?",
        "Look at the first lines of /etc/containerd/config.toml.",
    ],
    cause: "cri-plugin-disabled",
    needs: &[],
    start,
    check,
    solve,
};

const DISABLED: &str = "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";

fn start(stage: &Stage) -> anyhow::Result<()> {
    stage.configure(2, |text| text.replacen("version = 2\n", &format!("version = 2\n{DISABLED}"), 1))?;
    // It can't serve the CRI now; that is the drill.
    let ended = stage.restart(2);
    anyhow::ensure!(ended.is_err(), "the CRI answers although it is switched off");
    Ok(())
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let served = stage.serves_cri(2)?;
    Ok(if served { Vec::new() } else { vec!["nobody serves the CRI on the second node".to_owned()] })
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("taking the CRI out of disabled_plugins on the second node, and restarting its containerd");
    stage.configure(2, |text| text.replace(DISABLED, ""))?;
    stage.restart(2)
}
