//! Who asks the registry: by a password on standard input, or by a pull secret of the cluster. Neither is ever printed.

use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cri::import::ImageName;
use operate::access::{Access, Local};
use operate::pull_path::keyring;
use operate::registry::{Credentials, HereByProxy, Options};

use crate::cli::seed::Ask;
use crate::reach::Reached;

/// No password is longer.
const MAX_PASSWORD: u64 = 64 << 10;

/// Who asks, and how. A password is read once, for all images.
pub(super) struct Asker<'a> {
    ask: &'a Ask,
    password: Option<String>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(ask: &'a Ask) -> anyhow::Result<Self> {
        let password = if ask.password_stdin { Some(password()?) } else { None };
        Ok(Self { ask, password })
    }

    /// For one image: a pull secret has entries for registries.
    pub(super) async fn options(&self, image: &ImageName, reached: &Reached) -> anyhow::Result<Options> {
        let credentials = match (&self.ask.user, &self.password, &self.ask.pull_secret) {
            (Some(user), Some(password), _) => Some(Credentials::new(user, password)),
            (_, _, Some(secret)) => Some(of_secret(secret, image, reached).await?),
            _ => None,
        };
        let authority = match &self.ask.ca_file {
            Some(file) => Some(std::fs::read(file).with_context(|| format!("read {}", file.display()))?),
            None => None,
        };
        Ok(Options { plain_http: self.ask.plain_http, authority, credentials })
    }
}

/// This machine as it asks a registry: by https through the proxy of the environment, if one is named.
pub(super) fn here(options: &Options) -> Arc<dyn Access> {
    if options.plain_http {
        return Arc::new(Local::new("this machine"));
    }
    Arc::new(HereByProxy::new(|name| std::env::var(name).ok()))
}

fn password() -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_PASSWORD).read_to_string(&mut text);
    read.context("read the password from standard input")?;
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        bail!("there is no password on standard input: `--password-stdin <FILE`, or pipe it in");
    }
    Ok(password.to_owned())
}

async fn of_secret(secret: &str, image: &ImageName, reached: &Reached) -> anyhow::Result<Credentials> {
    let Some((namespace, name)) = secret.split_once('/').filter(|(namespace, name)| {
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        plain(namespace) && plain(name)
    }) else {
        bail!("--pull-secret is NAMESPACE/NAME, not {secret:?}");
    };
    let object = reached.get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}")).await?;
    let data = object["data"][".dockerconfigjson"].as_str().or(object["data"][".dockercfg"].as_str());
    let Some(data) = data else {
        bail!("the secret {secret} is no pull secret: its type is {}", object["type"].as_str().unwrap_or("unknown"));
    };
    let bytes = BASE64.decode(data).with_context(|| format!("read the secret {secret}"))?;
    let config = String::from_utf8_lossy(&bytes);
    let wrong = |problem: String| anyhow::anyhow!("the secret {secret}: {problem}");
    let found = keyring::matching(&config, image).map_err(wrong)?;
    match found.into_iter().next() {
        Some(entry) => {
            entry.credentials.with_context(|| format!("the secret {secret} has no password for {}", entry.key))
        }
        None => {
            let keys = keyring::keys(&config).map_err(wrong)?.join(", ");
            bail!("the secret {secret} is for {keys}, not for {}", image.domain)
        }
    }
}
