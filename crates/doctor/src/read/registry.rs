//! What a node tells its containerd about registries: the mirrors table, `certs.d`, and what it runs with.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::containerd::{Host, HostsToml, Mirror};
use super::toml::Spanned;
use super::{ContainerdConfig, Pull, Read, Speaker, pulls, reference, same_node};
use crate::evidence::{Evidence, Item, ItemKind};
use crate::finding::Fix;
use crate::text::{is_invisible, visible};

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

/// What a URL in a registry's settings is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An endpoint of the mirrors table.
    Endpoint,
    /// The name of a `[host."…"]` table.
    Host,
    /// `server` of a `hosts.toml`.
    Server,
}

/// A URL in a node's registry settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Number of the item.
    pub item: usize,
    /// The node; empty when not told.
    pub node: String,
    /// The key or directory that it belongs to.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// The URL.
    pub value: Spanned<String>,
}

impl Url {
    /// Words for whose URL it is.
    pub fn whose(&self) -> String {
        match self.role {
            Role::Endpoint => format!("the endpoint of the mirror `{}`", visible(&self.name)),
            Role::Host => format!("a host of `{}`", visible(&self.name)),
            Role::Server => format!("the server of `{}`", visible(&self.name)),
        }
    }

    /// A fix, with the restart that this file needs.
    pub fn finish(&self, fix: Fix) -> Fix {
        if self.role == Role::Endpoint { fix.restart("containerd") } else { fix }
    }
}

/// Whether a message comes from a tool that does its own requests and not the CRI's.
pub fn is_tool(speaker: Speaker) -> bool {
    matches!(speaker, Speaker::Ctr | Speaker::Nerdctl)
}

/// Whether a pull failed because plain HTTP came where TLS was expected.
pub fn is_plain_http(pull: &Pull) -> bool {
    pull.says("server gave HTTP response to HTTPS client")
}

/// Whether words tell of a certificate of an unknown authority.
pub fn is_unknown_authority(text: &str) -> bool {
    text.contains("signed by unknown authority") || text.contains("certificate is not trusted")
}

impl Read {
    /// All URLs of registry settings.
    pub fn registry_urls(&self) -> Vec<Url> {
        let mut all = Vec::new();
        for config in &self.configs {
            for mirror in config.mirrors() {
                for value in mirror.endpoints {
                    let (node, name) = (config.node.clone(), mirror.key.value.clone());
                    all.push(Url { item: config.item, node, name, role: Role::Endpoint, value });
                }
            }
        }
        for file in &self.hosts {
            let hosts = file.hosts().into_iter().map(|host| (Role::Host, host.url));
            for (role, value) in hosts.chain(file.server().map(|server| (Role::Server, server))) {
                let (node, name) = (file.node.clone(), file.directory.clone());
                all.push(Url { item: file.item, node, name, role, value });
            }
        }
        all
    }

    /// Failed pulls on a node of images of the registry that a key or directory is meant for.
    pub fn pulls_meant(&self, node: &str, name: &str) -> Vec<&Pull> {
        let all = name == "*" || name == "_default";
        let wanted = meant(name);
        let host = reference::host(&wanted);
        let fits = |pull: &&Pull| {
            let registry = if pull.registry().is_empty() { pull.asked.as_str() } else { pull.registry() };
            let same = reference::same_registry(registry, &wanted) || reference::host(registry) == host;
            !is_tool(pull.speaker) && same_node(&pull.node, node) && (all || same)
        };
        self.pulls.iter().filter(fits).collect()
    }

    /// Pulls that fail because plain HTTP came where TLS was expected, by node and host; not those of tools.
    pub fn plain_http(&self) -> BTreeMap<(String, String), Vec<&Pull>> {
        let pulls = self.pulls.iter().filter(|pull| is_plain_http(pull) && !is_tool(pull.speaker));
        pulls::grouped(pulls, |pull| (pull.node.clone(), pull.asked.clone()))
    }

    /// Pulls that fail because of a certificate of an unknown authority, by node and host; not those of tools.
    ///
    /// A mirror that was given up for it counts, whatever became of the pull afterwards.
    pub fn unknown_authorities(&self) -> BTreeMap<(String, String), Vec<&Pull>> {
        let mut all: BTreeMap<(String, String), Vec<&Pull>> = BTreeMap::new();
        let item = |message: usize| self.messages.get(message).map(|message| message.item);
        for attempt in self.attempts.iter().filter(|attempt| is_unknown_authority(&attempt.text)) {
            let node = self.messages.get(attempt.message).map_or("", |message| message.node.as_str());
            let after = self.pulls.iter().filter(|pull| {
                !is_tool(pull.speaker)
                    && (item(pull.message) == item(attempt.message) || same_node(&pull.node, node))
                    && (pull.asked == attempt.host || !is_unknown_authority(&pull.text))
            });
            let after: Vec<&Pull> = after.collect();
            if !after.is_empty() {
                all.entry((node.to_owned(), attempt.host.clone())).or_default().extend(after);
            }
        }
        for pull in self.pulls.iter().filter(|pull| is_unknown_authority(&pull.text) && !is_tool(pull.speaker)) {
            let known = all.iter_mut().find(|((node, host), _)| *host == pull.asked && same_node(node, &pull.node));
            match known {
                Some((_, pulls)) if pulls.iter().any(|one| one.message == pull.message) => {}
                Some((_, pulls)) => pulls.push(pull),
                None => all.entry((pull.node.clone(), pull.asked.clone())).or_default().push(pull),
            }
        }
        all
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

/// The path of a URL and its place among the URL's characters.
pub fn path(url: &str) -> Option<(usize, &str)> {
    let after = url.find("://").map_or(0, |at| at + 3);
    let at = url[after..].find('/')? + after;
    Some((url[..at].chars().count(), &url[at..]))
}

/// Who signed the certificate that a host shows, as `openssl` or `curl` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// Its name as printed.
    pub name: String,
    /// Whether it is an authority that the internet trusts.
    pub public: bool,
    /// Whether its name is that of a gateway.
    pub gateway: bool,
}

static ISSUER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\s*\*?\s*(?:i:|[iI]ssuer\s*[=:])\s*/?(.+?)\s*$").ok());

const AUTHORITIES: [&str; 18] = [
    "Let's Encrypt", "ISRG", "DigiCert", "Amazon", "Google Trust", "GlobalSign", "Sectigo", "Microsoft", "Cloudflare",
    "Baltimore", "USERTrust", "Starfield", "Entrust", "GoDaddy", "COMODO", "GeoTrust", "Thawte", "RapidSSL",
];
const GATEWAYS: [&str; 16] = [
    "gateway", "proxy", "inspection", "intercept", "zscaler", "netskope", "fortinet", "fortigate", "palo alto", "blue coat",
    "bluecoat", "firewall", "umbrella", "forcepoint", "squid", "mitm",
];

/// The issuer of a host's certificate; of a node's `openssl` that names no host, the first.
pub fn issuer(evidence: &Evidence, node: &str, host: &str) -> Option<Issuer> {
    let name_only = reference::host(host);
    let told = evidence.items().iter().enumerate().filter(|(_, item)| {
        let kind = matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text);
        kind && same_node(item.origin.node().unwrap_or_default(), node)
    });
    let mut found: Vec<(bool, Issuer)> = Vec::new();
    for (number, item) in told {
        let about = item.origin.0.contains(name_only) || item.text.contains(name_only);
        for (index, line) in item.text.lines().enumerate() {
            let Some(name) = ISSUER.as_ref().and_then(|form| form.captures(line)).map(|form| form[1].to_owned()) else {
                continue;
            };
            let lower = name.to_lowercase();
            let issuer = Issuer {
                item: number,
                line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                public: AUTHORITIES.iter().any(|known| name.contains(known)),
                gateway: GATEWAYS.iter().any(|word| lower.contains(word)),
                name: common_name(&name).to_owned(),
            };
            found.push((about, issuer));
        }
    }
    let about = found.iter().position(|(about, _)| *about).or_else(|| (found.len() == 1).then_some(0))?;
    Some(found.swap_remove(about).1)
}

/// The common name of `O = x, CN = y`, or all of it.
fn common_name(name: &str) -> &str {
    let after = name.rsplit_once("CN = ").or_else(|| name.rsplit_once("CN=")).map_or(name, |(_, rest)| rest);
    after.split([',', '/']).next().unwrap_or(after).trim()
}

/// A name under which registry settings stand in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The name as written.
    pub key: Spanned<String>,
    /// The name that containerd looks for.
    pub wanted: String,
    /// Whether it is certain that containerd ignores it.
    pub sure: bool,
}

const OLD_PLUGIN: &str = "io.containerd.grpc.v1.cri";
const NEW_PLUGIN: &str = "io.containerd.cri.v1.images";

/// Whether registry settings stand where containerd does not look.
pub fn misplaced(config: &ContainerdConfig) -> bool {
    !misplaced_tables(config, None).is_empty()
}

/// Names under which registry settings stand in vain. `major` is containerd's major version, where it is known.
pub fn misplaced_tables(config: &ContainerdConfig, major: Option<u32>) -> Vec<Misplaced> {
    let Ok(toml) = &config.toml else { return Vec::new() };
    let mut all = Vec::new();
    let sure = |key: Spanned<String>, wanted: &str| Misplaced { key, wanted: wanted.to_owned(), sure: true };
    let right = match config.version() {
        3.. => NEW_PLUGIN,
        2 => OLD_PLUGIN,
        _ => "cri",
    };
    for key in toml.keys(&[]) {
        if key.value != "plugins" && crate::near::nearest(&key.value, ["plugins"]).is_some() {
            all.push(sure(key, "plugins"));
        }
    }
    for key in toml.keys(&["plugins"]) {
        let name = key.value.as_str();
        if !has_settings(toml, name) {
            continue;
        }
        let bare: String = name.chars().filter(|one| !one.is_whitespace() && !is_invisible(*one)).collect();
        if name == right {
            all.extend(misspelt(toml, name));
        } else if bare == right || crate::near::nearest(name, [right]).is_some() {
            all.push(sure(key, right));
        } else if config.version() == 3 && (name == OLD_PLUGIN || name == "io.containerd.cri.v1.runtime") {
            all.push(sure(key, right));
        } else if config.version() == 2 && name.starts_with("io.containerd.cri.v1.") && major.is_none_or(|major| major < 2) {
            all.push(Misplaced { key, wanted: right.to_owned(), sure: major.is_some() });
        } else if config.version() >= 2 && !KNOWN_PLUGINS.contains(&name) && name != "cri" {
            all.push(sure(key, right));
        }
    }
    all
}

/// Plugins that the other rules speak of.
const KNOWN_PLUGINS: [&str; 3] = [OLD_PLUGIN, NEW_PLUGIN, "io.containerd.cri.v1.runtime"];

/// Whether a plugin's table has registry settings that say something.
fn has_settings(toml: &super::toml::Toml, plugin: &str) -> bool {
    let filled = |path: &[&str]| !toml.keys(path).is_empty();
    let at = |rest: &[&'static str]| [&["plugins", plugin], rest].concat();
    let config_path = toml.string(&at(&["registry", "config_path"])).is_some_and(|found| !found.value.is_empty());
    let tables = ["mirrors", "configs"].iter().any(|table| filled(&at(&["registry", table])));
    let other = toml.keys(&at(&[])).iter().any(|key| key.value != "registry" && crate::near::nearest(&key.value, ["registry"]).is_some());
    let inner = toml.keys(&at(&["registry"])).iter().any(|key| !REGISTRY_KEYS.contains(&key.value.as_str()));
    config_path || tables || other || inner
}

const REGISTRY_KEYS: [&str; 5] = ["config_path", "mirrors", "configs", "auths", "headers"];

/// Names within the right plugin's table that are misspelt.
fn misspelt(toml: &super::toml::Toml, plugin: &str) -> Vec<Misplaced> {
    let mut all = Vec::new();
    let mut look = |path: &[&str], known: &[&str]| {
        let keys = toml.keys(path);
        for key in &keys {
            let near = crate::near::nearest(&key.value, known.iter().copied());
            if !known.contains(&key.value.as_str())
                && let Some(wanted) = near
            {
                all.push(Misplaced { key: key.clone(), wanted: wanted.to_owned(), sure: true });
            }
        }
        keys
    };
    look(&["plugins", plugin], &["registry"]);
    look(&["plugins", plugin, "registry"], &REGISTRY_KEYS);
    for mirror in toml.keys(&["plugins", plugin, "registry", "mirrors"]) {
        look(&["plugins", plugin, "registry", "mirrors", &mirror.value], &["endpoint", "rewrite"]);
    }
    all
}

/// Whether a path leads to a registry's API by itself.
pub fn has_api(path: &str) -> bool {
    path.split('/').any(|part| part == "v2")
}

/// Whether a host's path gets a second `/v2` though it has one.
pub fn doubles_api(host: &Host) -> bool {
    let Some((_, path)) = path(&host.url.value) else { return false };
    !host.override_path && has_api(path) && !path.trim_end_matches('/').ends_with("/v2")
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
