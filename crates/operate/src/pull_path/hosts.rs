//! `hosts.toml` and the directories in which containerd looks for it.

use std::fmt;

use doctor::read::toml::Toml;
use doctor::text::Position;

use super::files::{Files, Found, join};
use super::go_url::GoUrl;
use super::mirrors;
use super::release::Release;
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
    /// Certificates, each with the file of its key if that is another one.
    pub(super) client: Vec<(String, Option<String>)>,
    pub(super) headers: Headers,
    /// Whether it is asked by http where it speaks no TLS.
    pub(super) falls_back: bool,
    pub(super) place: Option<Place>,
}

/// Headers with their values. The values may be secret and are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub(super) Vec<(String, String)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Host {
    /// Makes a host without a name the registry itself.
    pub(super) fn is_registry_itself(&mut self, domain: &str, release: Release) {
        self.host = mirrors::default_host(domain).to_owned();
        self.scheme = "https".to_owned();
        self.path = "/v2".to_owned();
        (self.pull, self.resolve) = (true, true);
        if !mirrors::is_local(&self.host) {
            return;
        }
        let port = port(&self.host);
        let ambiguous = !release.tries_https_first() || !matches!(port, None | Some("443"));
        if ambiguous {
            self.scheme = "http".to_owned();
        }
        if !release.tries_https_first() || port != Some("80") {
            self.skip_verify = Some(true);
        }
    }

    /// A host by http with settings for TLS is asked by https first, unless its port says what it speaks.
    pub(super) fn with_https_first(mut self, release: Release) -> Self {
        let settings = self.skip_verify.is_some() || !self.ca.is_empty() || !self.client.is_empty();
        if release.tries_https_first() && self.scheme == "http" && settings && port(&self.host) != Some("80") {
            self.scheme = "https".to_owned();
            self.falls_back = true;
        }
        self
    }
}

fn port(host: &str) -> Option<&str> {
    let (_, port) = host.rsplit_once(':')?;
    (!port.contains(']') && !port.is_empty()).then_some(port)
}

/// What a search for a registry's directory found.
pub(super) struct Searched {
    pub(super) source: Source,
    pub(super) hosts: Vec<Host>,
    pub(super) notes: Vec<Note>,
}

/// Looks through the directories of `config_path` as containerd does.
pub(super) fn search(files: &mut Files, config_path: &str, whole: bool, registry: &str, release: Release) -> Searched {
    let mut tried = Vec::new();
    let roots: Vec<&str> = if whole { vec![config_path] } else { config_path.split(':').collect() };
    for root in roots.into_iter().filter(|root| !root.is_empty()) {
        for name in directories(registry) {
            let directory = join(root, &name);
            match files.get(&directory) {
                Found::Missing => tried.push(directory),
                _ => return load(files, &directory, release),
            }
        }
    }
    let words = format!("there is no directory for {registry}: looked for {}", tried.join(", "));
    let note = (!tried.is_empty()).then_some(Note { words, place: None, bypassed: false });
    Searched { source: Source::Nothing, hosts: Vec::new(), notes: note.into_iter().collect() }
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

fn load(files: &mut Files, directory: &str, release: Release) -> Searched {
    let path = join(directory, "hosts.toml");
    let text = match files.get(&path) {
        Found::File(text) if !text.is_empty() => text,
        Found::Unreadable(why) => {
            let note = Note { words: format!("{path} could not be read: {why}"), place: None, bypassed: true };
            return Searched { source: Source::Hosts { path }, hosts: Vec::new(), notes: vec![note] };
        }
        _ => return certificates(files, directory, Vec::new()),
    };
    match read(&path, directory, &text, release) {
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
    let client = names.iter().filter_map(|name| {
        let key = format!("{}.key", name.strip_suffix(".cert")?);
        Some((join(directory, name), names.contains(&key).then(|| join(directory, &key))))
    });
    let client = client.collect();
    let host = Host { pull: true, resolve: true, ca, client, ..Host::default() };
    let source = Source::Certificates { directory: directory.to_owned() };
    Searched { source, hosts: vec![host], notes }
}

type Refused = (String, Option<usize>);

fn read(path: &str, directory: &str, text: &str, release: Release) -> Result<Vec<Host>, Refused> {
    let toml = Toml::read(text)
        .map_err(|refused| (format!("it does not parse: {}", refused.message), Some(refused.span.start)))?;
    let mut keys = toml.keys(&["host"]);
    keys.sort_by_key(|key| Position::of(text, key.span.start));
    if release.wants_host_table() && toml.item(&["host"]).is_none_or(|item| !item.is_table_like()) {
        return Err(("invalid `host` tree".to_owned(), None));
    }
    let mut hosts = Vec::new();
    for key in &keys {
        let table = ["host", key.value.as_str()];
        let file = HostsFile { toml: &toml, path, directory, text, release };
        hosts.push(file.host(&table, Some((&key.value, key.span.start)))?);
    }
    let server = toml.string(&["server"]);
    if server.is_none() && toml.item(&["server"]).is_some() {
        return Err(("`server` is no string".to_owned(), None));
    }
    let named = server.as_ref().map(|server| (&server.value, server.span.start));
    hosts.push(HostsFile { toml: &toml, path, directory, text, release }.host(&[], named)?);
    Ok(hosts)
}

/// A file whose hosts are being read.
struct HostsFile<'a> {
    toml: &'a Toml,
    path: &'a str,
    directory: &'a str,
    text: &'a str,
    release: Release,
}

impl HostsFile<'_> {
    fn host(&self, table: &[&str], named: Option<(&String, usize)>) -> Result<Host, Refused> {
        let mut host = Host { place: named.map(|(_, at)| Place::of(self.path, self.text, at)), ..Host::default() };
        let override_path = self.flag(table, "override_path")?.unwrap_or(false);
        host.skip_verify = self.flag(table, "skip_verify")?;
        if let Some((name, offset)) = named.filter(|(name, _)| !name.is_empty()) {
            let server = if name.starts_with("http") { name.clone() } else { format!("https://{name}") };
            let url = GoUrl::parse(&server)
                .map_err(|why| (format!("unable to parse server {server}: {why}"), Some(offset)))?;
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
        self.capabilities(table, &mut host)?;
        host.ca = self.paths(table, "ca")?;
        host.client = self.client(table)?;
        host.headers = self.headers(table)?;
        Ok(host)
    }

    fn offset(&self, path: &[&str]) -> Option<usize> {
        self.toml.item(path).and_then(|item| item.span()).map(|span| span.start)
    }

    fn flag(&self, table: &[&str], name: &str) -> Result<Option<bool>, Refused> {
        let at = [table, &[name]].concat();
        match (self.toml.item(&at), self.toml.boolean(&at)) {
            (Some(_), None) => Err((format!("`{name}` is neither true nor false"), self.offset(&at))),
            (_, found) => Ok(found.map(|found| found.value)),
        }
    }

    fn capabilities(&self, table: &[&str], host: &mut Host) -> Result<(), Refused> {
        let at = [table, &["capabilities"]].concat();
        let capabilities = self.toml.strings(&at);
        if self.toml.item(&at).is_some_and(|item| item.as_array().is_none()) {
            return Err(("`capabilities` is no list".to_owned(), self.offset(&at)));
        }
        (host.pull, host.resolve) = (capabilities.is_empty(), capabilities.is_empty());
        for capability in &capabilities {
            match capability.value.to_lowercase().as_str() {
                "pull" => host.pull = true,
                "resolve" => host.resolve = true,
                other if self.release.knows_capability(other) => {}
                _ => return Err((format!("unknown capability {}", capability.value), Some(capability.span.start))),
            }
        }
        Ok(())
    }

    /// One path or several, from the directory on.
    fn paths(&self, table: &[&str], name: &str) -> Result<Vec<String>, Refused> {
        let at = [table, &[name]].concat();
        let paths: Vec<String> = self.toml.strings(&at).into_iter().map(|found| self.absolute(&found.value)).collect();
        if paths.is_empty() && self.toml.item(&at).is_some_and(|item| item.as_array().is_none()) {
            return Err((format!("invalid type for \"{name}\""), self.offset(&at)));
        }
        Ok(paths)
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { join(self.directory, path) }
    }

    /// A file with certificate and key, several such, or pairs of files.
    fn client(&self, table: &[&str]) -> Result<Vec<(String, Option<String>)>, Refused> {
        let at = [table, &["client"]].concat();
        let Some(item) = self.toml.item(&at) else { return Ok(Vec::new()) };
        if let Some(single) = item.as_str() {
            return Ok(vec![(self.absolute(single), None)]);
        }
        let refused = || ("invalid type for \"client\"".to_owned(), self.offset(&at));
        let mut pairs = Vec::new();
        for entry in item.as_array().ok_or_else(refused)? {
            if let Some(single) = entry.as_str() {
                pairs.push((self.absolute(single), None));
                continue;
            }
            let files: Option<Vec<&str>> =
                entry.as_array().map(|pair| pair.iter().filter_map(|one| one.as_str()).collect());
            match files.as_deref() {
                // Go takes an empty second name for none.
                Some([certificate, ""]) => pairs.push((self.absolute(certificate), None)),
                Some([certificate, key]) => pairs.push((self.absolute(certificate), Some(self.absolute(key)))),
                Some(_) => return Err(("invalid pair for \"client\"".to_owned(), self.offset(&at))),
                None => return Err(refused()),
            }
        }
        Ok(pairs)
    }

    fn headers(&self, table: &[&str]) -> Result<Headers, Refused> {
        let at = [table, &["header"]].concat();
        let mut headers = Vec::new();
        for key in self.toml.keys(&at) {
            let values = self.toml.strings(&[&at[..], &[key.value.as_str()]].concat());
            if values.is_empty() {
                return Err((format!("invalid type for header {:?}", key.value), Some(key.span.start)));
            }
            headers.extend(values.into_iter().map(|value| (key.value.clone(), value.value)));
        }
        Ok(Headers(headers))
    }
}
