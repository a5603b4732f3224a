//! A manifest that was written in 2018.

use anyhow::Context as _;

use super::Drill;
use super::stage::Stage;

pub(super) const DRILL: Drill = Drill {
    name: "old-manifest",
    title: "a manifest that worked for years",
    story: "\
The application's manifest of 2018 must go onto the new cluster. It is the file shop.yaml (its place is told above).
kubectl does not take it.

  kubectl apply -f shop.yaml
  shipmate doctor manifests shop.yaml",
    hints: &[
        "Which version of which kind does the server not know?",
        "`kubectl api-resources` shows where that kind lives today.",
        "apps/v1 wants a selector as well: the labels of the template.",
    ],
    cause: "api-version-removed",
    needs: &[],
    start,
    check,
    solve,
};

/// The manifest, in the drill's directory.
const FILE: &str = "shop.yaml";
const OLD: &str = "\
apiVersion: extensions/v1beta1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 1
  template:
    metadata:
      labels:
        app: shop
    spec:
      containers:
      - name: shop
        image: shipmate.local/web:1.0
        ports:
        - containerPort: 8080
---
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata:
  name: shop
spec:
  minAvailable: 1
  selector:
    matchLabels:
      app: shop
";

fn start(stage: &Stage) -> anyhow::Result<()> {
    let path = stage.dir()?.join(FILE);
    std::fs::write(&path, OLD).with_context(|| format!("write {}", path.display()))?;
    eprintln!("the manifest is {}", path.display());
    Ok(())
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let path = stage.dir()?.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let documents = serde_saphyr::from_multiple::<serde_json::Value>(&text).context("the manifest is no YAML")?;
    let mut wrong = Vec::new();
    if documents.len() != 2 {
        wrong.push(format!("the manifest had two objects, and has {} now", documents.len()));
    }
    for object in documents {
        if let Err(error) = stage.would_take(&object) {
            wrong.push(format!("{}: {error:#}", object["kind"].as_str().unwrap_or("object without a kind")));
        }
    }
    Ok(wrong)
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("writing apps/v1 with its selector, and policy/v1");
    let text = OLD
        .replace("extensions/v1beta1", "apps/v1")
        .replace("  replicas: 1\n", "  replicas: 1\n  selector:\n    matchLabels:\n      app: shop\n")
        .replace("policy/v1beta1", "policy/v1");
    let path = stage.dir()?.join(FILE);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}
