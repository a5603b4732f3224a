//! A kubeconfig whose context names a cluster that is not in the file.

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::Drill;
use super::stage::Stage;

pub(super) const DRILL: Drill = Drill {
    name: "lost-kubeconfig",
    title: "kubectl asks localhost:8080",
    story: "\
A colleague sent you his kubeconfig, tidied up by hand (its place is told above). With it, every kubectl command says
that the connection to localhost:8080 was refused; nothing listens there, and nothing ever did.

  kubectl --kubeconfig FILE get nodes
  shipmate doctor kubeconfig --kubeconfig FILE",
    hints: &[
        "localhost:8080 is what kubectl takes when it has no cluster at all. Why has it none?",
        "current-context names a context, the context names a cluster and a user. Is each of them there?",
        "The cluster is called `prod-cluster` in one place and `prod` in the other.",
    ],
    cause: "kubeconfig-context-cluster-mismatch",
    needs: &[],
    start,
    check,
    solve,
};

/// The kubeconfig, in the drill's directory.
const FILE: &str = "kubeconfig";

fn start(stage: &Stage) -> anyhow::Result<()> {
    write(stage, "prod")?;
    eprintln!("the kubeconfig is {}", stage.dir()?.join(FILE).display());
    Ok(())
}

/// The kubeconfig of the cluster, whose context names this cluster.
fn write(stage: &Stage, cluster: &str) -> anyhow::Result<()> {
    let mut config = crate::client::kubeconfig(&stage.cluster().access()?);
    config["clusters"][0]["name"] = "prod-cluster".into();
    config["contexts"][0]["context"]["cluster"] = cluster.into();
    let path = stage.dir()?.join(FILE);
    let text = serde_saphyr::to_string(&config).context("write a kubeconfig")?;
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let path = stage.dir()?.join(FILE);
    let answer = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let config = Kubeconfig::read_from(&path)?;
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        anyhow::Ok(kube::Client::try_from(config)?.apiserver_version().await?)
    });
    Ok(answer.err().map(|error| format!("the cluster is not reached with it: {error:#}")).into_iter().collect())
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("naming the cluster as it is called in the file");
    write(stage, "prod-cluster")
}
