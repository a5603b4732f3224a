//! A private registry on the first node: the distribution's `docker-registry`, with its data beside the drill's files.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::stage::{deployment, web};
use super::{Stage, certificate};

/// Its port.
const PORT: u16 = 5000;
/// The program, and the package that it comes from.
pub(super) const NEEDS: (&str, &str) = ("docker-registry", "docker-registry");
/// Name of its process.
const PROCESS: &str = "registry";
/// Who may log in, where a login is asked for: a user of the drill alone.
const USER: &str = "drill";
const PASSWORD: &str = "practice";
/// [`PASSWORD`], as bcrypt keeps it.
const HASH: &str = "$2b$05$7oDSbbquCJy1SUfwrCfw9ulNxEneFe7aF8WKxIcpbmHw0.ueJo1v2";
/// The pull secret that the deployment names.
const SECRET: &str = "registry-login";

/// How a registry is reached.
#[derive(Default)]
pub(super) struct Settings<'a> {
    /// Its certificate; plain http without.
    pub(super) tls: Option<&'a certificate::Files>,
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
    // Pushed while it is still plain and open: what a drill breaks is the pull.
    serve(stage, &Settings::default())?;
    let ctr = |arguments: &[&str]| stage.run(1, "ctr", &[&["-n", cri::NAMESPACE], arguments].concat());
    ctr(&["images", "tag", "--force", &web(), &image])?;
    ctr(&["images", "push", "--plain-http", &image])?;
    ctr(&["images", "rm", &image])?;
    if settings.tls.is_some() || settings.htpasswd.is_some() {
        stop(stage)?;
        serve(stage, settings)?;
    }
    Ok(image)
}

/// Starts it, plain http, for those alone who log in; the nodes know that it is plain.
pub(super) fn with_login(stage: &Stage) -> anyhow::Result<String> {
    let users = stage.dir()?.join("htpasswd");
    std::fs::write(&users, format!("{USER}:{HASH}\n")).with_context(|| format!("write {}", users.display()))?;
    let users = users.to_str().context("the cluster's directory has no readable name")?;
    let image = start(stage, &Settings { htpasswd: Some(users), ..Settings::default() })?;
    declare(stage, "http", "")?;
    Ok(image)
}

/// A pull secret with the right login, for this host.
pub(super) fn secret(namespace: Option<&str>, host: &str) -> Value {
    let login = BASE64.encode(format!("{USER}:{PASSWORD}"));
    let logins = json!({"auths": {host: {"username": USER, "password": PASSWORD, "auth": login}}});
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": {"name": SECRET},
        "data": {".dockerconfigjson": BASE64.encode(logins.to_string())},
    });
    if let Some(namespace) = namespace {
        secret["metadata"]["namespace"] = namespace.into();
    }
    secret
}

/// The deployment `shop` with the pull secret.
pub(super) fn shop_with_secret(image: &str) -> Value {
    let mut shop = deployment("shop", image);
    shop["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{"name": SECRET}]);
    shop
}

/// Writes the registry's hosts.toml on both nodes; containerd reads it at each pull.
pub(super) fn declare(stage: &Stage, scheme: &str, further: &str) -> anyhow::Result<()> {
    let host = host(stage)?;
    let text = format!(
        "server = \"{scheme}://{host}\"\n\n[host.\"{scheme}://{host}\"]\n  capabilities = [\"pull\", \"resolve\"]\n{further}"
    );
    let path = format!("/etc/containerd/certs.d/{host}/hosts.toml");
    [1, 2].into_iter().try_for_each(|number| stage.write(number, &path, &text))
}

/// Lets both nodes trust the authority of the registry's certificate.
pub(super) fn trust(stage: &Stage) -> anyhow::Result<()> {
    let path = format!("/etc/containerd/certs.d/{}/ca.crt", host(stage)?);
    let authority = stage.dir()?.join(certificate::AUTHORITY);
    let authority = std::fs::read_to_string(&authority).with_context(|| format!("read {}", authority.display()))?;
    [1, 2].into_iter().try_for_each(|number| stage.write(number, &path, &authority))?;
    declare(stage, "https", &format!("  ca = \"{path}\"\n"))
}

/// Ends it.
pub(super) fn stop(stage: &Stage) -> anyhow::Result<()> {
    let node = stage.node(1)?;
    Ok(sandbox::process::end(&node.dir().pidfile(PROCESS), Duration::from_secs(5))?)
}

/// Starts it with the data that it has.
pub(super) fn serve(stage: &Stage, settings: &Settings<'_>) -> anyhow::Result<()> {
    let (dir, node) = (stage.dir()?, stage.node(1)?);
    let host = host(stage)?;
    let mut config = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {host}\n",
        serde_json::to_string(&dir.join("registry"))?
    );
    if let Some(certificate::Files { certificate, key }) = settings.tls {
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
    let answers = |_: &Stage| Ok(std::net::TcpStream::connect(&host).is_ok());
    stage
        .wait("an answer of the registry", Duration::from_secs(20), answers)
        .with_context(|| format!("see {}", log.display()))
}
