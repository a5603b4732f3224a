//! What a node tells its containerd about registries: the mirrors table, `certs.d`, and what it runs with.

mod issuer;
mod tables;
mod urls;

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

pub use issuer::{Issuer, issuer};
pub use tables::{Misplaced, misplaced, misplaced_tables};
pub use urls::{Role, Url, doubles_api, has_api, is_plain_http, is_tool, is_unknown_authority, path};

use super::containerd::{HostsToml, Mirror};
use super::toml::Spanned;
use super::{ContainerdConfig, Read, reference, same_node};
use crate::evidence::{Item, ItemKind};
use crate::text::is_invisible;

/// A directory under `certs.d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Number of the item that tells of it.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// The node; empty when not told.
    pub node: String,
    /// The directory it lies in.
    pub root: String,
    /// Its name.
    pub name: String,
}

/// What containerd runs with, as `crictl info` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Number of the item.
    pub item: usize,
    /// The node; empty when not told.
    pub node: String,
    /// Keys of the mirrors table, with their endpoints.
    pub mirrors: Vec<(String, Vec<String>)>,
    /// `config_path`.
    pub config_path: String,
}

/// An entry for a registry that containerd uses.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    /// In the mirrors table.
    Mirror(&'a ContainerdConfig, Mirror),
    /// A `hosts.toml`.
    Hosts(&'a HostsToml),
    /// A directory whose file is not in the evidence.
    Directory(Directory),
}

impl Entry<'_> {
    /// The URLs that are asked, with their items.
    pub fn urls(&self) -> Vec<(usize, Spanned<String>)> {
        match self {
            Entry::Mirror(config, mirror) => mirror.endpoints.iter().map(|url| (config.item, url.clone())).collect(),
            Entry::Hosts(file) => {
                let hosts = file.hosts().into_iter().map(|host| host.url).chain(file.server());
                hosts.map(|url| (file.item, url)).collect()
            }
            Entry::Directory(_) => Vec::new(),
        }
    }
}

/// The registry settings of one node.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// Its configuration files.
    pub configs: Vec<&'a ContainerdConfig>,
    /// Its `hosts.toml` files.
    pub hosts: Vec<&'a HostsToml>,
    /// Its directories under `certs.d`, of `hosts.toml` files and of listings.
    pub directories: Vec<Directory>,
    /// Whether a listing of `certs.d` is in the evidence, or the news that there is none.
    pub listed: bool,
}

impl Read {
    /// Registry settings of the nodes that a name fits.
    pub fn registries(&self, node: &str) -> Settings<'_> {
        let hosts: Vec<&HostsToml> = self.hosts.iter().filter(|file| same_node(&file.node, node)).collect();
        let mut directories: Vec<Directory> = hosts.iter().map(|file| directory_of(file)).collect();
        directories.extend(self.directories.iter().filter(|one| same_node(&one.node, node)).cloned());
        let is_root = |path: &str| path.trim_end_matches('/').ends_with("certs.d");
        let listed = self.facts.listings.iter().any(|one| is_root(&one.value.directory) && same_node(&one.node, node))
            || self.facts.absent.iter().any(|one| is_root(&one.value) && same_node(&one.node, node));
        let configs = self.configs.iter().filter(|config| same_node(&config.node, node) && config.toml.is_ok());
        Settings { configs: configs.collect(), hosts, directories, listed }
    }
}

impl<'a> Settings<'a> {
    /// Whether the evidence shows what the node's containerd is told about registries.
    pub fn known(&self) -> bool {
        let set = self.config_path().is_some();
        let whole = !self.configs.is_empty() && (!set || self.listed || !self.hosts.is_empty());
        whole || (self.configs.is_empty() && self.listed)
    }

    /// The directory of `hosts.toml` files, where a file sets one.
    pub fn config_path(&self) -> Option<(&'a ContainerdConfig, Spanned<String>)> {
        self.configs.iter().find_map(|config| Some((*config, config.config_path()?)))
    }

    /// All entries of the mirrors table.
    pub fn mirrors(&self) -> impl Iterator<Item = (&'a ContainerdConfig, Mirror)> {
        self.configs.iter().flat_map(|config| config.mirrors().into_iter().map(|mirror| (*config, mirror)))
    }

    /// The entry that containerd uses for a registry.
    pub fn entry(&self, registry: &str) -> Option<Entry<'a>> {
        let named = |wanted: &str| self.mirrors().find(|(_, mirror)| mirror.key.value == wanted);
        if let Some((config, mirror)) = named(registry).or_else(|| named("*")) {
            return Some(Entry::Mirror(config, mirror));
        }
        let roots: Vec<String> = self.configs.iter().flat_map(|config| config.directories()).collect();
        let used = |root: &str| {
            let root = root.trim_end_matches('/');
            self.configs.is_empty() || roots.iter().any(|known| known.trim_end_matches('/') == root)
        };
        let file = |wanted: &str| self.hosts.iter().find(|file| file.directory == wanted && used(file.root()));
        let directory = |wanted: &str| self.directories.iter().find(|one| one.name == wanted && used(&one.root));
        directory_names(registry).iter().find_map(|name| {
            let of_file = file(name).map(|file| Entry::Hosts(file));
            of_file.or_else(|| directory(name).map(|one| Entry::Directory(one.clone())))
        })
    }
}

/// Names that a registry's directory may have, in the order in which containerd looks for them.
pub fn directory_names(registry: &str) -> [String; 3] {
    let underscored = match registry.rsplit_once(':') {
        Some((host, port)) => format!("{host}_{port}_"),
        None => registry.to_owned(),
    };
    [underscored, registry.to_owned(), "_default".to_owned()]
}

/// What was meant by a key or a directory's name: without a scheme, blanks, what can't be seen, and slashes.
pub fn meant(name: &str) -> String {
    let seen: String = name.chars().filter(|one| !one.is_whitespace() && !is_invisible(*one)).collect();
    let bare = seen.split_once("://").map_or(seen.as_str(), |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or_default();
    let bare = match bare.strip_suffix('_').and_then(|rest| rest.rsplit_once('_')) {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => format!("{host}:{port}"),
        _ => bare.to_owned(),
    };
    bare.to_ascii_lowercase()
}

/// Whether a key or directory seems to be meant for this registry, though it is not its name.
pub fn seems_meant(name: &str, urls: &[&str], registry: &str) -> bool {
    if registry.is_empty() || name == "*" || name == "_default" {
        return false;
    }
    let (name, wanted) = (meant(name), registry.to_ascii_lowercase());
    let (host, wanted_host) = (reference::host(&name), reference::host(&wanted));
    let first = |host: &str| host.split('.').next().unwrap_or_default().to_owned();
    let port = reference::port(&wanted);
    let same_port = port.is_some() && reference::port(&name) == port;
    reference::same_registry(&name, &wanted)
        || host == wanted_host
        || (!is_address(host) && !is_address(wanted_host) && first(host) == first(wanted_host) && same_port)
        || alike(&name, &wanted)
        || urls.iter().any(|url| reference::authority(url).eq_ignore_ascii_case(&wanted))
}

/// Whether one may be a slip for the other: of addresses a single number, of names a few letters.
fn alike(name: &str, wanted: &str) -> bool {
    if is_address(reference::host(name)) || is_address(reference::host(wanted)) {
        let (one, other): (Vec<&str>, Vec<&str>) = (name.split('.').collect(), wanted.split('.').collect());
        let differing = one.iter().zip(&other).filter(|(one, other)| one != other).count();
        return one.len() == other.len() && differing == 1;
    }
    let both_known = reference::is_public(name) && reference::is_public(wanted);
    !both_known && crate::near::nearest(wanted, [name]).is_some()
}

fn is_address(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

fn directory_of(file: &HostsToml) -> Directory {
    Directory {
        item: file.item,
        line: 1,
        node: file.node.clone(),
        root: file.root().to_owned(),
        name: file.directory.clone(),
    }
}

static PATH: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(/[^\s'‘]*/certs\.d)/([^/\s'’]+?)(?:/[^\s]*|:)?(?:['’]|\s|$)").ok());

/// Directories under `certs.d` that listings and other facts show.
pub(super) fn directories(items: &[Item], read: &Read) -> Vec<Directory> {
    let mut all = Vec::new();
    for listing in &read.facts.listings {
        if !listing.value.directory.ends_with("/certs.d") {
            continue;
        }
        for entry in &listing.value.entries {
            let file = entry.details.starts_with('-') || entry.name.ends_with(".toml") || entry.name.ends_with(".crt");
            if !file {
                let (item, node) = (listing.item, listing.node.clone());
                let root = listing.value.directory.clone();
                all.push(Directory { item, line: entry.line, node, root, name: entry.name.clone() });
            }
        }
    }
    for (number, item) in items.iter().enumerate() {
        if !matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text) {
            continue;
        }
        for (index, line) in item.text.lines().enumerate() {
            let found = PATH.as_ref().and_then(|form| form.captures(line));
            let Some(found) = found.filter(|_| super::listing::absent(line).is_none()) else { continue };
            all.push(Directory {
                item: number,
                line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                node: item.origin.node().unwrap_or_default().to_owned(),
                root: found[1].to_owned(),
                name: found[2].to_owned(),
            });
        }
    }
    all
}

/// What `crictl info` prints, whole or in part.
pub(super) fn running(items: &[Item]) -> Vec<Running> {
    let mut all = Vec::new();
    for (number, item) in items.iter().enumerate() {
        if !item.origin.source().contains("crictl info") {
            continue;
        }
        let node = item.origin.node().unwrap_or_default();
        let Some(start) = item.text.find('{') else { continue };
        let mut values = serde_json::Deserializer::from_str(&item.text[start..]).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { continue };
        let parts = [&value["config"]["registry"], &value["registry"], &value];
        let Some(registry) = parts.into_iter().find(|part| part.get("mirrors").is_some()) else { continue };
        let endpoints = |mirror: &Value| {
            let all = mirror["endpoint"].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mirrors = registry["mirrors"].as_object().into_iter().flatten();
        all.push(Running {
            item: number,
            node: node.to_owned(),
            mirrors: mirrors.map(|(key, mirror)| (key.clone(), endpoints(mirror))).collect(),
            config_path: registry["configPath"].as_str().unwrap_or_default().to_owned(),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_seem_meant() {
        let meant = |name: &str, registry: &str| seems_meant(name, &[], registry);
        assert!(meant("cr.example.org", "cr.example.org:5000") && meant("cr.example.org:5001", "cr.example.org:5000"));
        assert!(meant("cr:5000", "cr.example.org:5000") && meant("http://cr.org:80/", "cr.org:80"));
        assert!(meant("registry-1.docker.io", "docker.io") && meant("CR.org", "cr.org"));
        assert!(!meant("docker.io", "quay.io") && !meant("*", "quay.io") && !meant("10.0.0.9:5000", "10.8.8.8:5000"));
        assert!(seems_meant("cr.org:5000", &["http://10.0.0.1:5000"], "10.0.0.1:5000"));
    }

    #[test]
    fn paths_of_urls() {
        assert_eq!(path("https://a.org/b/c"), Some((13, "/b/c")));
        assert_eq!((path("https://a.org"), has_api("/x/v2/y"), has_api("/v20")), (None, true, false));
        assert_eq!(directory_names("a:1"), ["a_1_", "a:1", "_default"]);
    }
}
