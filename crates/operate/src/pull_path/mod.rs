//! The way of an image reference through a node's containerd: `shipmate doctor image`.
//!
//! [`resolve`] is pure: from the node's files it tells which rule applies and which URLs would be asked, in order, as
//! containerd itself decides it. [`gather`] reads those files on a node, [`probe`] asks the URLs from there.
//!
//! Checked against containerd 1.6; of 2.x the differences that are known are kept: the plugin's other name, and a
//! `hosts.toml` that needs no `host` table. Deliberately absent: client certificates, and headers of `hosts.toml`.

mod config;
mod files;
mod gather;
mod go_url;
mod hosts;
pub mod keyring;
mod mirrors;
mod probe;
mod render;
#[cfg(test)]
mod tests;

use cri::import::{ImageName, Version};
use doctor::text::Position;
use serde::Serialize;

pub use files::{Files, Found};
pub use gather::{Gathered, gather};
pub use probe::{Known, NodeTrace, Secret, Step, Trial, probe};

/// A place in a file of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    pub path: String,
    /// Line and column.
    pub position: Option<Position>,
    /// The line.
    pub line: String,
}

impl Place {
    fn of(path: &str, text: &str, offset: usize) -> Self {
        let position = Position::of(text, offset);
        Self { path: path.to_owned(), position: Some(position), line: config::line(text, position) }
    }
}

/// Where the endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Source {
    /// No rule applies: the registry itself, by https.
    Nothing,
    /// The legacy mirrors table.
    Mirrors {
        /// The key that matched.
        key: String,
        /// Where it stands.
        place: Place,
    },
    /// A `hosts.toml`.
    Hosts {
        /// The file.
        path: String,
    },
    /// A directory with certificates and no usable `hosts.toml`.
    Certificates {
        /// The directory.
        directory: String,
    },
}

/// A URL that would be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The URL of the first request.
    pub url: String,
    /// Host and port by which credentials are chosen.
    pub host: String,
    /// Whether certificates are not checked.
    pub skip_verify: bool,
    /// Further authorities: files on the node.
    pub authorities: Vec<String>,
    /// Whether containerd shows a certificate of its own.
    pub client_certificate: bool,
    /// Whether containerd's configuration has credentials for it.
    pub own_credentials: bool,
    /// Why it is left out, if it is: a missing capability.
    pub left_out: Option<String>,
    /// Where it is written; absent for the registry itself.
    pub place: Option<Place>,
}

/// Something to know about the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// In words.
    pub words: String,
    /// Where.
    pub place: Option<Place>,
    /// Whether a configured mirror is silently left aside because of it.
    pub bypassed: bool,
}

/// The way of a reference, as containerd decides it before it asks anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PullPath {
    /// The full reference.
    pub reference: String,
    /// Where the endpoints come from.
    pub source: Source,
    /// URLs in the order in which they are asked.
    pub endpoints: Vec<Endpoint>,
    /// Why nobody is asked at all, in containerd's words.
    pub refused: Option<Note>,
    /// What else there is to know.
    pub notes: Vec<Note>,
}

/// The way of a reference with the configuration at `main`. Paths that are not known yet are noted in `files`.
pub fn resolve(image: &ImageName, files: &mut Files, main: &str, version: &str) -> PullPath {
    let major = major(version);
    let empty = |refused: Option<Note>| PullPath {
        reference: image.to_string(),
        source: Source::Nothing,
        endpoints: Vec::new(),
        refused,
        notes: Vec::new(),
    };
    let registry = match config::read(files, main, major) {
        Ok(registry) => registry,
        Err((words, place)) => return empty(Some(Note { words, place, bypassed: false })),
    };
    match &registry.config_path {
        Some((roots, _)) => by_directories(image, files, roots, &registry, major),
        None => mirrors::resolve(image, &registry, files),
    }
}

fn major(version: &str) -> u32 {
    version.trim_start_matches('v').split('.').next().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// By the directories of `config_path`.
fn by_directories(
    image: &ImageName,
    files: &mut Files,
    roots: &str,
    registry: &config::Registry,
    major: u32,
) -> PullPath {
    let hosts::Searched { source, mut hosts, notes } = hosts::search(files, roots, &image.domain, major);
    if hosts.is_empty() {
        hosts.push(hosts::Host::default());
    }
    // The last one, without a host of its own, is the registry itself.
    if let Some(last) = hosts.last_mut().filter(|last| last.host.is_empty()) {
        last.host = mirrors::default_host(&image.domain).to_owned();
        last.scheme = if mirrors::is_local(&last.host) { "http" } else { "https" }.to_owned();
        if last.scheme == "http" {
            last.skip_verify = Some(true);
        }
        last.path = "/v2".to_owned();
        (last.pull, last.resolve) = (true, true);
    }
    let mut refused = None;
    for ca in hosts.iter().flat_map(|host| &host.ca) {
        if refused.is_none() && files.get(ca) == Found::Missing {
            let words = format!("unable to read CA cert {}: open {ca}: no such file or directory", go_url::quoted(ca));
            refused = Some(Note { words, place: None, bypassed: false });
        }
    }
    let endpoints = hosts.into_iter().map(|host| endpoint(image, host, registry)).collect();
    PullPath { reference: image.to_string(), source, endpoints, refused, notes }
}

fn endpoint(image: &ImageName, host: hosts::Host, registry: &config::Registry) -> Endpoint {
    let by_tag = matches!(image.version, Version::Tag(_));
    let left_out = match (host.pull, host.resolve) {
        (false, _) => Some("its capabilities lack \"pull\"".to_owned()),
        (true, false) if by_tag => Some("its capabilities lack \"resolve\", which tags need".to_owned()),
        _ => None,
    };
    Endpoint {
        url: manifest_url(image, &host.scheme, &host.host, &host.path),
        own_credentials: registry.auth.contains_key(&host.host),
        host: host.host,
        skip_verify: host.skip_verify == Some(true),
        authorities: host.ca,
        client_certificate: host.client,
        left_out,
        place: host.place,
    }
}

/// The URL of the first request to a host.
fn manifest_url(image: &ImageName, scheme: &str, host: &str, path: &str) -> String {
    let (Version::Tag(version) | Version::Digest(version)) = &image.version;
    let path = files::join("/", &format!("{path}/{}/manifests/{version}", image.repository));
    // Mirrors are told whose image it is.
    let own = host == image.domain || (image.domain == "docker.io" && host == "registry-1.docker.io");
    let namespace = if own { String::new() } else { format!("?ns={}", query_escaped(&image.domain)) };
    // Go leaves an empty port out of the request.
    format!("{scheme}://{}{path}{namespace}", host.strip_suffix(':').unwrap_or(host))
}

fn query_escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
