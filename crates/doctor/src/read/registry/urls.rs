//! URLs of registry settings, and the pulls that fail because of them.

use std::collections::{BTreeMap, BTreeSet};

use super::meant;
use crate::finding::Fix;
use crate::read::containerd::Host;
use crate::read::toml::Spanned;
use crate::read::{Pull, Read, Speaker, pulls, reference, same_node};
use crate::text::visible;

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
        let mut seen = BTreeSet::new();
        let item = |message: usize| self.messages.get(message).map(|message| message.item);
        for attempt in self.attempts.iter().filter(|attempt| is_unknown_authority(&attempt.text)) {
            let node = self.messages.get(attempt.message).map_or("", |message| message.node.as_str());
            if !seen.insert((node, attempt.host.as_str())) {
                continue;
            }
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

/// The path of a URL and its place among the URL's characters.
pub fn path(url: &str) -> Option<(usize, &str)> {
    let after = url.find("://").map_or(0, |at| at + 3);
    let at = url[after..].find('/')? + after;
    Some((url[..at].chars().count(), &url[at..]))
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
