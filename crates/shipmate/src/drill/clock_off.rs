//! A machine whose clock runs ahead: what it signs is not valid yet for others.

use super::stage::{Stage, deployment};
use super::{Drill, certificate, registry};

pub(super) const DRILL: Drill = Drill {
    name: "clock-off",
    title: "a certificate that is refused although it was made today",
    story: "\
The registry's certificate was renewed an hour ago, on the registry's own host. Since then no worker pulls the image of
the deployment `shop`, and the authority's certificate is in place on all of them.

  kubectl describe pods -l app=shop
  date -u

(The nodes of a sandbox have this machine's clock, and that is right. So here it is the registry's host whose clock is
wrong; on the workers it looks the same.)",
    hints: &[
        "Which two times does the Failed event name, and which of them is wrong?",
        "A certificate is valid from a moment on. When was this one made, by whose clock?",
        "Once the clock is right, the certificate must be made anew: `shipmate drill solve` does it.",
    ],
    cause: "node-clock-skew",
    needs: &[registry::NEEDS],
    start,
    check,
    solve,
};

/// How far the registry's clock runs ahead.
const AHEAD_HOURS: u32 = 5;

fn start(stage: &Stage) -> anyhow::Result<()> {
    let files = certificate::make(stage, AHEAD_HOURS)?;
    let image = registry::start(stage, &registry::Settings { tls: Some(&files), ..registry::Settings::default() })?;
    registry::trust(stage)?;
    stage.apply(&[deployment("shop", &image)])?;
    stage.wait_for_reason("app=shop", &["ErrImagePull", "ImagePullBackOff"])
}

fn check(stage: &Stage) -> anyhow::Result<Vec<String>> {
    stage.unready("app=shop")
}

fn solve(stage: &Stage) -> anyhow::Result<()> {
    eprintln!("the clock of the registry's host is right again: making its certificate anew");
    let files = certificate::renew(stage)?;
    registry::stop(stage)?;
    registry::serve(stage, &registry::Settings { tls: Some(&files), ..registry::Settings::default() })
}
