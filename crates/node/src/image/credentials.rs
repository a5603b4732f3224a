//! Which credentials of pull secrets fit an image.
//!
//! Deliberately absent: credential provider plugins and a file of the node.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cri::import::ImageName;
use cri::v1::AuthConfig;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

/// `~/.docker/config.json`.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

/// One registry's credentials.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: String,
    #[serde(default, rename = "registrytoken")]
    registry_token: String,
}

/// The credentials among the secrets that fit the image, the most specific first.
pub(crate) fn matching(secrets: &[std::sync::Arc<Secret>], image: &ImageName) -> Vec<AuthConfig> {
    let mut found: Vec<(usize, AuthConfig)> = Vec::new();
    for (key, entry) in secrets.iter().flat_map(|secret| entries(secret)) {
        if fits(&key, image) {
            found.push((key.len(), entry.into_auth()));
        }
    }
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, auth)| auth).collect()
}

/// What a pull secret holds; one that cannot be read holds nothing.
fn entries(secret: &Secret) -> Vec<(String, Entry)> {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    if let Some(bytes) = data(".dockerconfigjson") {
        let config = serde_json::from_slice::<DockerConfig>(&bytes.0);
        return config.map(|config| config.auths.into_iter().collect()).unwrap_or_default();
    }
    if let Some(bytes) = data(".dockercfg") {
        let auths = serde_json::from_slice::<BTreeMap<String, Entry>>(&bytes.0);
        return auths.map(|auths| auths.into_iter().collect()).unwrap_or_default();
    }
    Vec::new()
}

impl Entry {
    /// Without the server's address: containerd would read the key as a URL, and a secret's key such as `1.2.3.4:5000` is
    /// none. That it fits the image has been decided here.
    fn into_auth(self) -> AuthConfig {
        let decoded = STANDARD.decode(self.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let (username, password) = match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((username, password)) if self.username.is_empty() => (username.to_owned(), password.to_owned()),
            _ => (self.username, self.password),
        };
        AuthConfig {
            username,
            password,
            identity_token: self.identity_token,
            registry_token: self.registry_token,
            ..AuthConfig::default()
        }
    }
}

/// Whether a key such as `https://index.docker.io/v1/`, `*.example.com` or `host:5000/team` covers the image.
fn fits(key: &str, image: &ImageName) -> bool {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = path.trim_end_matches('/');
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let hub = |host: &str| matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    let host_fits = if hub(&image.domain) { hub(host) } else { glob(host, &image.domain) };
    let path_fits = path.is_empty() || image.repository == path || image.repository.starts_with(&format!("{path}/"));
    host_fits && path_fits
}

/// Compares host names label by label; a label may contain `*`.
fn glob(pattern: &str, host: &str) -> bool {
    let (pattern, pattern_port) = pattern.split_once(':').unwrap_or((pattern, ""));
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let labels: Vec<_> = pattern.split('.').collect();
    let found: Vec<_> = host.split('.').collect();
    let label_fits = |(pattern, label): (&&str, &&str)| match pattern.split_once('*') {
        None => pattern == label,
        Some((head, tail)) => {
            label.len() >= head.len() + tail.len() && label.starts_with(head) && label.ends_with(tail)
        }
    };
    pattern_port == port && labels.len() == found.len() && labels.iter().zip(&found).all(label_fits)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn keys_cover_images() {
        let cases = [
            ("https://index.docker.io/v1/", "nginx", true),
            ("docker.io", "team/app", true),
            ("quay.io", "nginx", false),
            ("1.2.3.4:5000", "1.2.3.4:5000/a", true),
            ("1.2.3.4", "1.2.3.4:5000/a", false),
            ("*.example.com", "r.example.com/a", true),
            ("*.example.com", "a.r.example.com/a", false),
            ("r.io/team", "r.io/team/app", true),
            ("r.io/team", "r.io/teams/app", false),
        ];
        for (key, image, expected) in cases {
            assert_eq!(fits(key, &image.parse().unwrap()), expected, "{key} {image}");
        }
    }

    #[test]
    fn the_most_specific_credentials_come_first() {
        let json = format!(
            r#"{{"auths":{{"r.io":{{"auth":"{}"}},"r.io/team":{{"username":"u","password":"p"}},"x.io":{{}}}}}}"#,
            STANDARD.encode("a:b:c")
        );
        let data = [(".dockerconfigjson".to_owned(), ByteString(json.into_bytes()))].into();
        let secret = Arc::new(Secret { data: Some(data), ..Secret::default() });
        let found = matching(&[secret], &"r.io/team/app".parse().unwrap());
        let users: Vec<_> = found.iter().map(|auth| (auth.username.as_str(), auth.password.as_str())).collect();
        assert_eq!(users, [("u", "p"), ("a", "b:c")]);
    }
}
