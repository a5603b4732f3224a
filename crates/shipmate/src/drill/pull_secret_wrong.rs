//! A pull secret that holds a login for another host.

use super::stage::Stage;
use super::{Drill, registry};

pub(super) const DRILL: Drill = Drill {
    name: "pull-secret-wrong",
    title: "an image that is refused in spite of the right password",
    story: "\
The registry asks for a login. The deployment `shop` names its pull secret, the secret is there, user and password are
right: `docker login` takes them. The image is refused.

  kubectl describe pods -l app=shop
  kubectl get secret registry-login -o yaml",
    hints: &[
        "As whom was the registry asked: read who is anonymous.",
        "A login is kept under the name of the host that it is for. Which host is in the secret, and which in the image?",
        "The secret must have the image's host, with its port, as key.",
    ],
    cause: "pull-secret-wrong-host",
    needs: &[registry::NEEDS],
    start,
    check,
    solve,
};

fn start(stage: &Stage) -> anyhow::Result<()> {
    let image = registry::with_login(stage)?;
    stage.apply(&[registry::secret(None, "registry.example.com:5000"), registry::shop_with_secret(&image)])?;
    stage.wait_for_reason("app=shop", &["ErrImagePull", "ImagePullBackOff"])
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    stage.unready("app=shop")
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("making the secret for the registry that the image comes from");
    stage.apply(&[registry::secret(None, &registry::host(stage)?)])?;
    eprintln!("deleting the pods: new ones pull at once");
    stage.begin_anew("app=shop")
}
