//! The legacy mirrors table of `config.toml`.

use cri::import::ImageName;

use super::config::Registry;
use super::files::{Files, Found};
use super::go_url::{self, GoUrl};
use super::hosts::{Headers, Host};
use super::{Note, Place, PullPath, Source};

/// The host that serves a registry's images.
pub(super) fn default_host(domain: &str) -> &str {
    if domain == "docker.io" { "registry-1.docker.io" } else { domain }
}

/// Whether a host is this machine, for which containerd takes http and checks no certificates.
pub(super) fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or_default(),
        None => host,
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn default_scheme(host: &str) -> &'static str {
    if is_local(host) { "http" } else { "https" }
}

pub(super) fn resolve(image: &ImageName, registry: &Registry, files: &mut Files) -> PullPath {
    let domain = image.domain.as_str();
    let found = registry.mirrors.get_key_value(domain).or_else(|| registry.mirrors.get_key_value("*"));
    let source = match found {
        Some((key, mirror)) => Source::Mirrors { key: key.clone(), place: mirror.place.clone() },
        None => Source::Nothing,
    };
    let written: Vec<(String, Place)> = found.map(|(_, mirror)| mirror.endpoints.clone()).unwrap_or_default();
    let mut path = PullPath {
        reference: image.to_string(),
        source,
        endpoints: Vec::new(),
        refused: None,
        notes: near_misses(domain, registry),
    };
    match endpoints(domain, written) {
        Ok(urls) => {
            for (url, place) in urls {
                path.endpoints.push(endpoint(image, registry, url, place));
            }
        }
        Err((words, place)) => path.refused = Some(Note { words, place: Some(place), bypassed: false }),
    }
    for ca in path.endpoints.iter().flat_map(|endpoint| &endpoint.authorities) {
        if path.refused.is_none() && files.get(ca) == Found::Missing {
            let words = format!("get TLSConfig: failed to load CA file: open {ca}: no such file or directory");
            path.refused = Some(Note { words, place: None, bypassed: false });
        }
    }
    path
}

/// The endpoints with their schemes, and the registry itself behind them if it is not among them.
#[expect(clippy::type_complexity, reason = "pairs of a URL and the place where it is written")]
fn endpoints(domain: &str, written: Vec<(String, Place)>) -> Result<Vec<(GoUrl, Option<Place>)>, (String, Place)> {
    const WHERE: &str = "get registry endpoints: parse endpoint url";
    let mut schemed = Vec::new();
    for (endpoint, place) in written {
        if endpoint.contains("://") {
            schemed.push((endpoint, place));
            continue;
        }
        let url = match GoUrl::parse(&format!("dummy://{endpoint}")) {
            Ok(url) => url,
            Err(why) => return Err((format!("{WHERE}: {why}"), place)),
        };
        schemed.push((format!("{}://{endpoint}", default_scheme(&url.host)), place));
    }
    let mut urls = Vec::new();
    let own = default_host(domain);
    let mut has_own = false;
    for (endpoint, place) in schemed {
        // containerd stops reading where it finds the registry itself, and reads the rest later.
        match GoUrl::parse(&endpoint) {
            Ok(url) => {
                // By the registry's name, also where another host serves its images: docker.io is never among them.
                has_own |= url.host == domain;
                urls.push((url, Some(place)));
            }
            Err(why) if has_own => {
                let words = format!("parse registry endpoint {} from mirrors: {why}", go_url::quoted(&endpoint));
                return Err((words, place));
            }
            Err(why) => return Err((format!("{WHERE}: {why}"), place)),
        }
    }
    if !has_own {
        let url = GoUrl { scheme: default_scheme(own).to_owned(), host: own.to_owned(), path: String::new() };
        urls.push((url, None));
    }
    Ok(urls)
}

fn endpoint(image: &ImageName, registry: &Registry, url: GoUrl, place: Option<Place>) -> super::Endpoint {
    let tls = registry.tls.get(&url.host);
    let local = is_local(&image.domain) && url.scheme == "http";
    let host = Host {
        path: if url.path.is_empty() { "/v2".to_owned() } else { url.path },
        scheme: url.scheme,
        skip_verify: Some(tls.map_or(local, |tls| tls.skip_verify)),
        ca: tls.and_then(|tls| tls.ca.clone()).into_iter().collect(),
        host: url.host,
        pull: true,
        resolve: true,
        client: tls.and_then(|tls| tls.client.clone()).map(|(one, key)| (one, Some(key))).into_iter().collect(),
        headers: Headers::default(),
        falls_back: false,
        place: place.or_else(|| tls.and_then(|tls| tls.place.clone())),
    };
    super::endpoint(image, host, registry)
}

/// Keys that somebody wrote for this registry, and that never match.
fn near_misses(domain: &str, registry: &Registry) -> Vec<Note> {
    if registry.mirrors.contains_key(domain) {
        return Vec::new();
    }
    let bare = |key: &str| {
        let trimmed: String = key.chars().filter(|c| !c.is_whitespace() && !doctor::text::is_invisible(*c)).collect();
        let trimmed =
            trimmed.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/').to_owned();
        trimmed.to_lowercase()
    };
    let near = registry.mirrors.iter().filter(|(key, _)| bare(key) == domain.to_lowercase());
    near.map(|(key, mirror)| Note {
        words: format!("the mirrors key {} never matches: the registry is called {domain}", go_url::quoted(key)),
        place: Some(mirror.place.clone()),
        bypassed: true,
    })
    .collect()
}
