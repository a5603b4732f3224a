//! The way of an image reference through a node's containerd: `shipmate doctor image`.
//!
//! [`resolve`] is pure: from the node's files it tells which rule applies and which URLs would be asked, in order, as
//! containerd itself decides it. [`gather`] reads those files on a node, [`probe`] asks the URLs from there.
//!
//! Checked against containerd 1.6, 1.7, 2.1, 2.2 and 2.4: [`release`] has what differs between them.

mod config;
mod files;
mod gather;
mod go_url;
mod hosts;
pub mod keyring;
mod mirrors;
mod part;
mod probe;
mod release;
mod render;
#[cfg(test)]
mod tests;

use cri::import::{ImageName, Version};
use doctor::text::Position;
use serde::Serialize;

pub use files::{Files, Found};
pub use gather::{Gathered, gather};
pub use hosts::Headers;
pub use probe::{Known, NodeTrace, Secret, Step, Trial, probe};

use crate::registry::Credentials;
use release::Release;

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
    /// Certificates that containerd shows, each with the file of its key if that is another one.
    pub client_certificates: Vec<(String, Option<String>)>,
    /// Whether containerd's configuration has credentials for it.
    pub own_credentials: bool,
    /// Those credentials, where they are of a kind that is tried here.
    #[serde(skip)]
    pub credentials: Option<Credentials>,
    /// Headers that containerd sends besides.
    #[serde(skip)]
    pub headers: Headers,
    /// Whether it is asked by http where it speaks no TLS.
    pub falls_back_to_http: bool,
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
    let release = Release::of(version);
    let empty = |refused: Option<Note>| PullPath {
        reference: image.to_string(),
        source: Source::Nothing,
        endpoints: Vec::new(),
        refused,
        notes: Vec::new(),
    };
    let registry = match config::read(files, main, release) {
        Ok(registry) => registry,
        Err((words, place)) => return empty(Some(Note { words, place, bypassed: false })),
    };
    let mut path = match &registry.config_path {
        Some((roots, _)) => by_directories(image, files, roots, &registry, release),
        // The transfer service knows no mirrors table; without a directory it has its defaults.
        None if registry.by_transfer => by_directories(image, files, "", &registry, release),
        None => mirrors::resolve(image, &registry, files),
    };
    path.notes.extend(registry.notes);
    path
}

/// By the directories of `config_path`.
fn by_directories(
    image: &ImageName,
    files: &mut Files,
    roots: &str,
    registry: &config::Registry,
    release: Release,
) -> PullPath {
    let whole = registry.by_transfer;
    let hosts::Searched { source, mut hosts, mut notes } = hosts::search(files, roots, whole, &image.domain, release);
    if whole && roots.contains(':') {
        notes.retain(|note| note.bypassed);
        let each = hosts::search(files, roots, false, &image.domain, release);
        if let Source::Hosts { path } | Source::Certificates { directory: path } = each.source {
            let words = format!(
                "{path} is not used: containerd takes {roots} for the name of one directory, because its transfer service \
                 knows no lists. Name one directory in `config_path`, or set `use_local_image_pull`"
            );
            let place = registry.config_path.as_ref().and_then(|(_, place)| place.clone());
            notes.push(Note { words, place, bypassed: true });
        }
    }
    if hosts.is_empty() {
        hosts.push(hosts::Host::default());
    }
    if let Some(last) = hosts.last_mut().filter(|last| last.host.is_empty()) {
        last.is_registry_itself(&image.domain, release);
    }
    let refused = missing(files, &hosts);
    let endpoints = hosts.into_iter().map(|host| endpoint(image, host.with_https_first(release), registry)).collect();
    PullPath { reference: image.to_string(), source, endpoints, refused, notes }
}

/// A file that is named and not there, in containerd's words.
fn missing(files: &mut Files, hosts: &[hosts::Host]) -> Option<Note> {
    for host in hosts {
        let authorities = host.ca.iter().map(|path| ("CA cert", path));
        let certificates = host.client.iter().flat_map(|(one, key)| std::iter::once(one).chain(key));
        for (what, path) in authorities.chain(certificates.map(|path| ("CERT file", path))) {
            if files.get(path) == Found::Missing {
                let name = go_url::quoted(path);
                let words = format!("unable to read {what} {name}: open {path}: no such file or directory");
                return Some(Note { words, place: host.place.clone(), bypassed: false });
            }
        }
    }
    None
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
        credentials: registry.auth.get(&host.host).cloned().flatten(),
        headers: host.headers,
        falls_back_to_http: host.falls_back,
        host: host.host,
        skip_verify: host.skip_verify == Some(true),
        authorities: host.ca,
        client_certificates: host.client,
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
