//! The file system that images are unpacked on is full.

use std::time::Duration;

use anyhow::Context as _;

use super::Drill;
use super::stage::{Stage, deployment, web};

pub(super) const DRILL: Drill = Drill {
    name: "disk-full",
    title: "pods that start on one worker only",
    story: "\
On the second worker no new pod starts; those that run go on. The same deployment is fine on the first worker.

  kubectl get pods -o wide
  kubectl describe pods -l app=shop
  shipmate shell --name drill node-2 df -h",
    hints: &[
        "Read to the end of the Failed event: what could not be written?",
        "`df` shows bytes, `df -i` inodes. Which one is used up, on which file system?",
        "A log of 2019 fills the disk that containerd unpacks on; it may go.",
    ],
    cause: "node-disk-full",
    needs: &[("mkfs.ext4", "e2fsprogs")],
    start,
    check,
    solve,
};

/// Where the small disk is mounted in the node: containerd unpacks images there.
const SNAPSHOTS: &str = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
/// Where it is mounted while it is filled with what was there.
const ASIDE: &str = "/var/lib/containerd/aside";
const FILLER: &str = "audit-2019.log";

fn start(stage: &Stage) -> anyhow::Result<()> {
    let image = stage.dir()?.join("small-disk.img");
    let image = image.to_str().context("the cluster's directory has no readable name")?;
    std::fs::File::create(image)?.set_len(64 << 20)?;
    stage.run(2, "mkfs.ext4", &["-q", "-F", image])?;
    std::fs::create_dir_all(stage.file(2, ASIDE)?)?;
    stage.run(2, "mount", &["-o", "loop", image, ASIDE])?;
    // What is unpacked already must stay where it is found.
    stage.run(2, "cp", &["-a", &format!("{SNAPSHOTS}/."), &format!("{ASIDE}/")])?;
    stage.run(2, "mount", &["--move", ASIDE, SNAPSHOTS]).or_else(|_| {
        // Below a shared mount nothing can be moved.
        stage.run(2, "umount", &[ASIDE])?;
        stage.run(2, "mount", &["-o", "loop", image, SNAPSHOTS])
    })?;
    // Filled to the last byte: an error is the aim.
    let filled = stage.run(2, "dd", &["if=/dev/zero", &format!("of={SNAPSHOTS}/{FILLER}"), "bs=64k"]);
    anyhow::ensure!(filled.is_err(), "the small disk did not get full");
    stage.apply(&[deployment("shop", &web())])?;
    stage.wait("a pod that does not start", Duration::from_secs(60), |stage| {
        let events = stage.events("FailedCreatePodSandBox")? + stage.events("Failed")?;
        Ok(events > 0)
    })
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    stage.unready("app=shop")
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("deleting {FILLER} on the second node");
    stage.run(2, "rm", &["-f", &format!("{SNAPSHOTS}/{FILLER}")]).map(drop)
}
