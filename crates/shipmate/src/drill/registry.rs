//! A private registry on the first node: the distribution's `docker-registry`, with its data beside the drill's files.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::Stage;
use super::stage::web;

/// Its port.
const PORT: u16 = 5000;
/// The program, and the package that it comes from.
pub(super) const NEEDS: (&str, &str) = ("docker-registry", "docker-registry");
/// Name of its process.
const PROCESS: &str = "registry";

/// How a registry is reached.
#[derive(Default)]
pub(super) struct Settings<'a> {
    /// Files of its certificate and key; plain http without.
    pub(super) tls: Option<(&'a str, &'a str)>,
    /// File with the users and hashed passwords; everybody may come without.
    pub(super) htpasswd: Option<&'a str>,
}

/// Host and port of the registry.
pub(super) fn host(stage: &Stage) -> anyhow::Result<String> {
    Ok(format!("{}:{PORT}", stage.address(1)?))
}

/// Starts it, with the sample's image pushed as `host/shop/web:1`; gives that name.
pub(super) fn start(stage: &Stage, settings: &Settings<'_>) -> anyhow::Result<String> {
    let image = format!("{}/shop/web:1", host(stage)?);
    // Pushed while it is still plain and open: what the drill breaks is the pull.
    run(stage, &Settings::default())?;
    let ctr = |arguments: &[&str]| stage.run(1, "ctr", &[&["-n", cri::NAMESPACE], arguments].concat());
    ctr(&["images", "tag", "--force", &web(), &image])?;
    ctr(&["images", "push", "--plain-http", &image])?;
    ctr(&["images", "rm", &image])?;
    if settings.tls.is_some() || settings.htpasswd.is_some() {
        stop(stage)?;
        run(stage, settings)?;
    }
    Ok(image)
}

/// Ends it.
pub(super) fn stop(stage: &Stage) -> anyhow::Result<()> {
    let node = stage.node(1)?;
    Ok(sandbox::process::end(&node.dir().pidfile(PROCESS), Duration::from_secs(5))?)
}

fn run(stage: &Stage, settings: &Settings<'_>) -> anyhow::Result<()> {
    let (dir, node) = (stage.dir()?, stage.node(1)?);
    let host = host(stage)?;
    let mut config = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdir: {}}}}}\nhttp:\n  addr: {host}\n",
        serde_json::to_string(&dir.join("registry"))?
    );
    if let Some((certificate, key)) = settings.tls {
        config.push_str(&format!("  tls: {{certificate: {certificate:?}, key: {key:?}}}\n"));
    }
    if let Some(htpasswd) = settings.htpasswd {
        config.push_str(&format!("auth: {{htpasswd: {{realm: drill, path: {htpasswd:?}}}}}\n"));
    }
    let path = dir.join("registry.yml");
    std::fs::write(&path, config).with_context(|| format!("write {}", path.display()))?;
    let namespaces = node.namespaces()?.context("the first node does not run")?;
    let mut command = Command::new(NEEDS.0);
    command.arg("serve").arg(&path);
    node.start(PROCESS, &namespaces, command)?;
    let log = node.dir().log(PROCESS);
    stage
        .wait("an answer of the registry", Duration::from_secs(20), |_| Ok(std::net::TcpStream::connect(&host).is_ok()))
        .with_context(|| format!("see {}", log.display()))
}
