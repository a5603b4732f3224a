//! A pod names a pull secret that lies in another namespace.

use serde_json::json;

use super::stage::Stage;
use super::{Drill, registry};

pub(super) const DRILL: Drill = Drill {
    name: "pull-secret-missing",
    title: "an image that the registry does not give to strangers",
    story: "\
The registry asks for a login since today. A pull secret was made at once, the deployment `shop` names it, and still the
image is refused.

  kubectl describe pods -l app=shop
  kubectl get secrets -A",
    hints: &[
        "The pod says which secret it uses. Is that one there?",
        "Secrets belong to a namespace, and a pod sees those of its own only.",
        "`kubectl create secret docker-registry` makes one; user and password are `drill` and `practice`.",
    ],
    cause: "image-pull-secret-wrong-namespace",
    needs: &[registry::NEEDS],
    start,
    check,
    solve,
};

fn start(stage: &Stage) -> anyhow::Result<()> {
    let image = registry::with_login(stage)?;
    stage.apply(&[
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        registry::secret(Some("shop"), &registry::host(stage)?),
        registry::shop_with_secret(&image),
    ])?;
    stage.wait_for_reason("app=shop", &["ErrImagePull", "ImagePullBackOff"])
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    stage.unready("app=shop")
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("creating the secret in the namespace of the pods");
    stage.apply(&[registry::secret(None, &registry::host(stage)?)])?;
    eprintln!("deleting the pods: new ones pull at once");
    stage.begin_anew("app=shop")
}
