//! containerd's configuration: `config.toml` of versions 1, 2 and 3, and `hosts.toml`.
//!
//! Version 1 names plugins by their short names, version 2 by URIs such as `io.containerd.grpc.v1.cri`; version 3
//! (containerd 2.x) splits the CRI plugin into `io.containerd.cri.v1.images` and `io.containerd.cri.v1.runtime`.

use super::toml::{Refused, Spanned, Toml};
use crate::evidence::Item;

/// Names under which the CRI plugin's image settings may stand, newest first.
pub const IMAGE_PLUGINS: [&str; 3] = ["io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "cri"];
/// Names under which the CRI plugin's runtime settings may stand, newest first.
pub const RUNTIME_PLUGINS: [&str; 3] = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "cri"];

/// One file of containerd's configuration.
#[derive(Clone, Debug)]
pub struct ContainerdConfig {
    /// Number of its item.
    pub item: usize,
    /// The node it lies on; empty when not told.
    pub node: String,
    /// Its path.
    pub path: String,
    /// The content, or why it can't be read.
    pub toml: Result<Toml, Refused>,
}

/// An entry of the legacy mirrors table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The table's key: the host and port that it is for.
    pub key: Spanned<String>,
    /// Its endpoints in order.
    pub endpoints: Vec<Spanned<String>>,
}

impl ContainerdConfig {
    pub(crate) fn read(number: usize, item: &Item) -> Self {
        Self {
            item: number,
            node: item.origin.node().unwrap_or_default().to_owned(),
            path: path_of(item),
            toml: Toml::read(&item.text),
        }
    }

    /// The content, if it is TOML.
    pub fn parsed(&self) -> Option<&Toml> {
        self.toml.as_ref().ok()
    }

    /// The version line; a file without one is version 1.
    pub fn version(&self) -> i64 {
        self.parsed().and_then(|toml| toml.integer(&["version"])).map_or(1, |found| found.value)
    }

    /// A string at a path.
    pub fn string(&self, path: &[&str]) -> Option<Spanned<String>> {
        self.parsed()?.string(path)
    }

    /// Strings at a path.
    pub fn strings(&self, path: &[&str]) -> Vec<Spanned<String>> {
        self.parsed().map(|toml| toml.strings(path)).unwrap_or_default()
    }

    /// A string of the CRI plugin: the first of the plugin names under which it stands.
    pub fn cri_string(&self, plugins: &[&str], path: &[&str]) -> Option<Spanned<String>> {
        plugins.iter().find_map(|plugin| self.string(&[&["plugins", plugin], path].concat()))
    }

    /// A truth value of the CRI plugin.
    pub fn cri_boolean(&self, plugins: &[&str], path: &[&str]) -> Option<Spanned<bool>> {
        let toml = self.parsed()?;
        plugins.iter().find_map(|plugin| toml.boolean(&[&["plugins", plugin], path].concat()))
    }

    /// Keys of a table of the CRI plugin.
    pub fn cri_keys(&self, plugins: &[&str], path: &[&str]) -> Vec<Spanned<String>> {
        let Some(toml) = self.parsed() else { return Vec::new() };
        let tables = plugins.iter().map(|plugin| toml.keys(&[&["plugins", plugin], path].concat()));
        tables.into_iter().find(|keys| !keys.is_empty()).unwrap_or_default()
    }

    /// containerd's root directory.
    pub fn root(&self) -> String {
        self.string(&["root"]).map_or_else(|| "/var/lib/containerd".to_owned(), |root| root.value)
    }

    /// Plugins that are switched off.
    pub fn disabled_plugins(&self) -> Vec<Spanned<String>> {
        self.strings(&["disabled_plugins"])
    }

    /// The directory of `hosts.toml` files, if one is set and not empty.
    pub fn config_path(&self) -> Option<Spanned<String>> {
        self.cri_string(&IMAGE_PLUGINS, &["registry", "config_path"]).filter(|found| !found.value.is_empty())
    }

    /// The directories of `hosts.toml` files: `config_path` may name several, with colons between them.
    pub fn directories(&self) -> Vec<String> {
        let directories = |found: Spanned<String>| found.value.split(':').map(str::to_owned).collect();
        self.config_path().map(directories).unwrap_or_default()
    }

    /// The legacy settings of hosts.
    pub fn host_settings(&self) -> Vec<HostSettings> {
        let keys = self.cri_keys(&IMAGE_PLUGINS, &["registry", "configs"]);
        let settings = keys.into_iter().map(|key| HostSettings {
            ca: self.cri_string(&IMAGE_PLUGINS, &["registry", "configs", &key.value, "tls", "ca_file"]),
            skip_verify: self
                .cri_boolean(&IMAGE_PLUGINS, &["registry", "configs", &key.value, "tls", "insecure_skip_verify"])
                .is_some_and(|found| found.value),
            key,
        });
        settings.collect()
    }

    /// The legacy mirrors table.
    pub fn mirrors(&self) -> Vec<Mirror> {
        let keys = self.cri_keys(&IMAGE_PLUGINS, &["registry", "mirrors"]);
        let mirrors = keys.into_iter().map(|key| {
            let endpoints = IMAGE_PLUGINS
                .iter()
                .map(|plugin| self.strings(&["plugins", plugin, "registry", "mirrors", &key.value, "endpoint"]))
                .find(|found| !found.is_empty());
            Mirror { key, endpoints: endpoints.unwrap_or_default() }
        });
        mirrors.collect()
    }
}

/// Settings of one host in the legacy `configs` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSettings {
    /// The table's key: the host that is asked.
    pub key: Spanned<String>,
    /// `tls.ca_file`.
    pub ca: Option<Spanned<String>>,
    /// `tls.insecure_skip_verify`.
    pub skip_verify: bool,
}

impl HostSettings {
    /// Whether certificates of this host are spoken of.
    pub fn has_tls(&self) -> bool {
        self.ca.is_some() || self.skip_verify
    }
}

/// A `hosts.toml`.
#[derive(Clone, Debug)]
pub struct HostsToml {
    /// Number of its item.
    pub item: usize,
    /// The node; empty when not told.
    pub node: String,
    /// Its path.
    pub path: String,
    /// Name of its directory: the registry host that it is for.
    pub directory: String,
    /// The content, or why it can't be read.
    pub toml: Result<Toml, Refused>,
}

/// A `[host."URL"]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The URL as written in the header.
    pub url: Spanned<String>,
    /// `override_path`.
    pub override_path: bool,
    /// `capabilities`.
    pub capabilities: Vec<Spanned<String>>,
    /// `ca`, one or several.
    pub ca: Vec<Spanned<String>>,
    /// `skip_verify`.
    pub skip_verify: bool,
}

/// The path of a file, also where `cat` printed it.
fn path_of(item: &Item) -> String {
    let source = item.origin.source();
    let source = source.strip_prefix("sudo ").unwrap_or(source);
    source.strip_prefix("cat ").unwrap_or(source).to_owned()
}

impl HostsToml {
    pub(crate) fn read(number: usize, item: &Item) -> Self {
        let path = path_of(item);
        let directory = path.trim_end_matches("/hosts.toml").rsplit('/').next().unwrap_or_default().to_owned();
        let node = item.origin.node().unwrap_or_default().to_owned();
        Self { item: number, node, path, directory, toml: Toml::read(&item.text) }
    }

    /// The directory that this file's directory lies in: what `config_path` should name.
    pub fn root(&self) -> &str {
        let directory = self.path.strip_suffix("/hosts.toml").unwrap_or(&self.path);
        directory.rsplit_once('/').map_or("", |(root, _)| root)
    }

    /// `ca` of the upstream.
    pub fn server_ca(&self) -> Vec<Spanned<String>> {
        self.toml.as_ref().map(|toml| toml.strings(&["ca"])).unwrap_or_default()
    }

    /// `override_path` of the upstream.
    pub fn server_overrides_path(&self) -> bool {
        let found = self.toml.as_ref().ok().and_then(|toml| toml.boolean(&["override_path"]));
        found.is_some_and(|found| found.value)
    }

    /// The upstream that is asked last.
    pub fn server(&self) -> Option<Spanned<String>> {
        self.toml.as_ref().ok()?.string(&["server"])
    }

    /// The hosts in the order of the file.
    pub fn hosts(&self) -> Vec<Host> {
        let Ok(toml) = &self.toml else { return Vec::new() };
        let boolean = |url: &str, key: &str| toml.boolean(&["host", url, key]).is_some_and(|found| found.value);
        let mut hosts: Vec<Host> = toml
            .keys(&["host"])
            .into_iter()
            .map(|url| Host {
                override_path: boolean(&url.value, "override_path"),
                capabilities: toml.strings(&["host", &url.value, "capabilities"]),
                ca: toml.strings(&["host", &url.value, "ca"]),
                skip_verify: boolean(&url.value, "skip_verify"),
                url,
            })
            .collect();
        hosts.sort_by_key(|host| host.url.span.start);
        hosts
    }
}
