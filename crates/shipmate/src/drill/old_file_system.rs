//! containerd's root on an xfs that was made with ftype=0.

use std::process::Command;

use anyhow::Context as _;

use super::Drill;
use super::stage::Stage;

pub(super) const DRILL: Drill = Drill {
    name: "old-file-system",
    title: "nobody knows the runtime any more, and the configuration looks right",
    story: "\
The second worker was moved to new packages. containerd runs; the kubelet says `unknown service runtime.v1.RuntimeService`.
Removing config.toml and reinstalling the packages changed nothing. containerd's log warns about formatting a file
system, but the partition that was made for Kubernetes is fine.

  shipmate shell --name drill node-2 ctr plugins ls
  shipmate logs --name drill --node node-2 --containerd
  shipmate shell --name drill node-2 findmnt -T /var/lib/containerd/old-disk",
    hints: &[
        "Which plugins are in error, and what does the log say of the first of them?",
        "Which directory does containerd use, and on which file system does it lie?",
        "`root` in config.toml points at the old disk; /var/lib/containerd itself lies on a good one.",
    ],
    cause: "xfs-ftype-0",
    needs: &[("mkfs.xfs", "xfsprogs"), ("xfs_db", "xfsprogs")],
    start,
    check,
    solve,
};

/// Where the old disk is mounted in the node.
const OLD: &str = "/var/lib/containerd/old-disk";
const GOOD_ROOT: &str = "root = \"/var/lib/containerd\"";

fn start(stage: &Stage) -> anyhow::Result<()> {
    let image = stage.dir()?.join("old-disk.img");
    let image = image.to_str().context("the cluster's directory has no readable name")?;
    make_old_xfs(image)?;
    std::fs::create_dir_all(stage.file(2, OLD)?)?;
    stage.run(2, "mount", &["-o", "loop", image, OLD])?;
    stage.configure(2, |text| text.replacen(GOOD_ROOT, &old_root(), 1))?;
    let ended = stage.restart(2);
    anyhow::ensure!(ended.is_err(), "the CRI is served although its root is on the old disk");
    Ok(())
}

fn old_root() -> String {
    format!("root = \"{OLD}\"")
}

/// An xfs without file types in its directories, as they were made before 2015. `mkfs.xfs` no longer makes them, so the
/// feature's bit is taken out of the superblocks of an empty one.
fn make_old_xfs(image: &str) -> anyhow::Result<()> {
    let run = |program: &str, arguments: &[&str]| -> anyhow::Result<()> {
        let file = sandbox::command::find(program).with_context(|| format!("{program} is not installed"))?;
        let output = Command::new(file).args(arguments).output().with_context(|| format!("run {program}"))?;
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        anyhow::ensure!(output.status.success(), "{program}: {words}");
        Ok(())
    };
    std::fs::File::create(image)?.set_len(512 << 20)?;
    // Four groups, each with a superblock; of the incompatible features only SPINODES and META_UUID are left.
    run("mkfs.xfs", &["-q", "-f", "-d", "agcount=4", "-m", "bigtime=0", "-i", "sparse=1", image])?;
    for group in 0..4 {
        run("xfs_db", &["-x", "-c", &format!("sb {group}"), "-c", "write features_incompat 0x2", image])?;
    }
    Ok(())
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let served = stage.serves_cri(2)?;
    Ok(if served { Vec::new() } else { vec!["nobody serves the CRI on the second node".to_owned()] })
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("pointing containerd's root at the good file system on the second node, and restarting containerd");
    stage.configure(2, |text| text.replacen(&old_root(), GOOD_ROOT, 1))?;
    stage.restart(2)
}
