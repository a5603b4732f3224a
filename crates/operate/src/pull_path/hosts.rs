//! `hosts.toml` and the directories in which containerd looks for it.

use doctor::read::toml::Toml;
use doctor::text::Position;

use super::files::{Files, Found, join};
use super::go_url::GoUrl;
use super::{Note, Place, Source};

/// A host that containerd asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) pull: bool,
    pub(super) resolve: bool,
    pub(super) skip_verify: Option<bool>,
    pub(super) ca: Vec<String>,
    pub(super) client: bool,
    pub(super) place: Option<Place>,
}

/// What a search for a registry's directory found.
pub(super) struct Searched {
    pub(super) source: Source,
    pub(super) hosts: Vec<Host>,
    pub(super) notes: Vec<Note>,
}

/// Looks through the directories of `config_path` as containerd does.
pub(super) fn search(files: &mut Files, config_path: &str, registry: &str, major: u32) -> Searched {
    let mut tried = Vec::new();
    for root in config_path.split(':').filter(|root| !root.is_empty()) {
        for name in directories(registry) {
            let directory = join(root, &name);
            match files.get(&directory) {
                Found::Missing => tried.push(directory),
                _ => return load(files, &directory, major),
            }
        }
    }
    let words = format!("there is no directory for {registry}: looked for {}", tried.join(", "));
    Searched { source: Source::Nothing, hosts: Vec::new(), notes: vec![Note { words, place: None, bypassed: false }] }
}

/// Names under which a registry's directory may stand.
fn directories(registry: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(at) = registry.rfind(':').filter(|at| *at > 0) {
        names.push(format!("{}_{}_", &registry[..at], &registry[at + 1..]));
    }
    names.extend([registry.to_owned(), "_default".to_owned()]);
    names
}

fn load(files: &mut Files, directory: &str, major: u32) -> Searched {
    let path = join(directory, "hosts.toml");
    let text = match files.get(&path) {
        Found::File(text) if !text.is_empty() => text,
        Found::Unreadable(why) => {
            let note = Note { words: format!("{path} could not be read: {why}"), place: None, bypassed: true };
            return Searched { source: Source::Hosts { path }, hosts: Vec::new(), notes: vec![note] };
        }
        _ => return certificates(files, directory, Vec::new()),
    };
    match read(&path, directory, &text, major) {
        Ok(hosts) => Searched { source: Source::Hosts { path }, hosts, notes: Vec::new() },
        Err((why, offset)) => {
            let place = offset.map(|offset| Place::of(&path, &text, offset));
            let words = format!("{path} is silently ignored as a whole: {why}");
            certificates(files, directory, vec![Note { words, place, bypassed: true }])
        }
    }
}

/// Without a usable `hosts.toml`, certificates in the directory count, in Docker's layout.
fn certificates(files: &mut Files, directory: &str, notes: Vec<Note>) -> Searched {
    let names = match files.get(directory) {
        Found::Directory(names) => names,
        _ => Vec::new(),
    };
    let ca: Vec<String> =
        names.iter().filter(|name| name.ends_with(".crt")).map(|name| join(directory, name)).collect();
    let client = names.iter().any(|name| name.ends_with(".cert"));
    let host = Host { pull: true, resolve: true, ca, client, ..Host::default() };
    let source = Source::Certificates { directory: directory.to_owned() };
    Searched { source, hosts: vec![host], notes }
}

type Refused = (String, Option<usize>);

fn read(path: &str, directory: &str, text: &str, major: u32) -> Result<Vec<Host>, Refused> {
    let toml = Toml::read(text)
        .map_err(|refused| (format!("it does not parse: {}", refused.message), Some(refused.span.start)))?;
    let mut keys = toml.keys(&["host"]);
    keys.sort_by_key(|key| Position::of(text, key.span.start));
    // containerd 1.x wants a `host` table, also where `server` alone would say enough.
    if major < 2 && toml.item(&["host"]).is_none_or(|item| !item.is_table_like()) {
        return Err(("invalid `host` tree".to_owned(), None));
    }
    let mut hosts = Vec::new();
    for key in &keys {
        let table = ["host", key.value.as_str()];
        hosts.push(host(&toml, path, directory, text, &table, Some((&key.value, key.span.start)))?);
    }
    let server = toml.string(&["server"]);
    if server.is_none() && toml.item(&["server"]).is_some() {
        return Err(("`server` is no string".to_owned(), None));
    }
    let named = server.as_ref().map(|server| (&server.value, server.span.start));
    hosts.push(host(&toml, path, directory, text, &[], named)?);
    Ok(hosts)
}

fn host(
    toml: &Toml,
    path: &str,
    directory: &str,
    text: &str,
    table: &[&str],
    named: Option<(&String, usize)>,
) -> Result<Host, Refused> {
    let at = |name: &'static str| [table, &[name]].concat();
    let offset = |name: &'static str| toml.item(&at(name)).and_then(|item| item.span()).map(|span| span.start);
    let mut host = Host { place: named.map(|(_, at)| Place::of(path, text, at)), ..Host::default() };
    let flag = |name: &'static str| match (toml.item(&at(name)), toml.boolean(&at(name))) {
        (Some(_), None) => Err((format!("`{name}` is neither true nor false"), offset(name))),
        (_, found) => Ok(found.map(|found| found.value)),
    };
    let override_path = flag("override_path")?.unwrap_or(false);
    host.skip_verify = flag("skip_verify")?;
    if let Some((name, offset)) = named.filter(|(name, _)| !name.is_empty()) {
        let server = if name.starts_with("http") { name.clone() } else { format!("https://{name}") };
        let url =
            GoUrl::parse(&server).map_err(|why| (format!("unable to parse server {server}: {why}"), Some(offset)))?;
        (host.scheme, host.host, host.path) = (url.scheme, url.host, url.path);
        if !host.path.is_empty() {
            host.path = join(&host.path, "");
            if !host.path.ends_with("/v2") && !override_path {
                host.path.push_str("/v2");
            }
        } else if !override_path {
            host.path = "/v2".to_owned();
        }
    }
    let capabilities = toml.strings(&at("capabilities"));
    if toml.item(&at("capabilities")).is_some_and(|item| item.as_array().is_none()) {
        return Err(("`capabilities` is no list".to_owned(), offset("capabilities")));
    }
    (host.pull, host.resolve) = (capabilities.is_empty(), capabilities.is_empty());
    for capability in &capabilities {
        match capability.value.to_lowercase().as_str() {
            "pull" => host.pull = true,
            "resolve" => host.resolve = true,
            "push" => {}
            _ => return Err((format!("unknown capability {}", capability.value), Some(capability.span.start))),
        }
    }
    host.client = toml.item(&at("client")).is_some();
    let absolute = |ca: String| if ca.starts_with('/') { ca } else { join(directory, &ca) };
    host.ca = toml.strings(&at("ca")).into_iter().map(|ca| absolute(ca.value)).collect();
    if host.ca.is_empty() && toml.item(&at("ca")).is_some_and(|item| item.as_array().is_none()) {
        return Err(("invalid type for \"ca\"".to_owned(), offset("ca")));
    }
    Ok(host)
}
