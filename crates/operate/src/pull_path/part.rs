//! What one file, or several laid over one another, say of registries under one plugin's name.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use doctor::read::toml::Spanned;

use super::Place;
use super::config::{ConfigFile, Mirror, Registry, Tls};
use crate::registry::Credentials;

/// Downloads at a time, unless it is set.
const DOWNLOADS: i64 = 3;

/// Settings that are there; what is not written down is absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Whether there is a registry table at all.
    there: bool,
    config_path: Option<(String, Place)>,
    mirrors: BTreeMap<String, MirrorPart>,
    tls: BTreeMap<String, TlsPart>,
    auth: BTreeMap<String, Option<Credentials>>,
    configs: bool,
    auths: bool,
    /// Settings beside the table that keep the transfer service away, by name, and whether they do.
    local: BTreeMap<&'static str, bool>,
}

#[derive(Clone, Debug)]
struct MirrorPart {
    endpoints: Option<Vec<(String, Place)>>,
    place: Place,
}

#[derive(Clone, Debug, Default)]
struct TlsPart {
    skip_verify: Option<bool>,
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    place: Option<Place>,
}

impl Part {
    /// Lays a later part over this one: tables are merged, values and lists replaced.
    pub(super) fn overlay(&mut self, later: Self) {
        self.there |= later.there;
        self.config_path = later.config_path.or(self.config_path.take());
        for (key, mirror) in later.mirrors {
            let own = self.mirrors.entry(key).or_insert_with(|| MirrorPart { endpoints: None, ..mirror.clone() });
            if mirror.endpoints.is_some() {
                *own = mirror;
            }
        }
        for (host, tls) in later.tls {
            let own = self.tls.entry(host).or_default();
            own.skip_verify = tls.skip_verify.or(own.skip_verify);
            own.ca = tls.ca.or(own.ca.take());
            own.certificate = tls.certificate.or(own.certificate.take());
            own.key = tls.key.or(own.key.take());
            own.place = own.place.take().or(tls.place);
        }
        self.auth.extend(later.auth);
        self.configs |= later.configs;
        self.auths |= later.auths;
        self.local.extend(later.local);
    }

    /// The registry table of another part takes the place of this one's, if it has one.
    pub(super) fn take_registry_of(&mut self, other: &Self) {
        let mut local = std::mem::take(&mut self.local);
        local.extend(other.local.clone());
        if other.there {
            *self = other.clone();
        }
        self.local = local;
    }

    /// Where the first of the settings stands.
    pub(super) fn first_place(&self) -> Option<Place> {
        let config_path = self.config_path.iter().filter(|(path, _)| !path.is_empty()).map(|(_, place)| place.clone());
        let mirrors = self.mirrors.values().map(|mirror| mirror.place.clone());
        config_path.chain(mirrors).chain(self.tls.values().filter_map(|tls| tls.place.clone())).next()
    }

    /// Whether something is set with which containerd does not use its transfer service.
    pub(super) fn pulls_locally(&self) -> bool {
        !self.mirrors.is_empty() || self.configs || self.auths || self.local.values().any(|local| *local)
    }

    /// As it is in force.
    pub(super) fn registry(self) -> Registry {
        let mirrors = self.mirrors.into_iter().map(|(key, mirror)| {
            let MirrorPart { endpoints, place } = mirror;
            (key, Mirror { endpoints: endpoints.unwrap_or_default(), place })
        });
        let tls = self.tls.into_iter().map(|(host, tls)| {
            let TlsPart { skip_verify, ca, certificate, key, place } = tls;
            let skip_verify = skip_verify.unwrap_or(false);
            (host, Tls { skip_verify, ca, client: certificate.zip(key), place })
        });
        Registry {
            config_path: self.config_path.filter(|(path, _)| !path.is_empty()).map(|(path, at)| (path, Some(at))),
            mirrors: mirrors.collect(),
            tls: tls.collect(),
            auth: self.auth,
            ..Registry::default()
        }
    }
}

/// What a file says under a plugin's name.
pub(super) fn of_file(file: &ConfigFile, plugin: &str) -> Part {
    let toml = &file.toml;
    let place = |span: usize| Place::of(&file.path, &file.text, span);
    let spanned = |found: Spanned<String>| {
        let place = place(found.span.start);
        (found.value, place)
    };
    let mut part = Part {
        there: toml.item(&["plugins", plugin, "registry"]).is_some(),
        config_path: toml.string(&at(plugin, &["config_path"])).map(spanned),
        auths: !toml.keys(&at(plugin, &["auths"])).is_empty(),
        local: local(file, plugin),
        ..Part::default()
    };
    for key in toml.keys(&at(plugin, &["mirrors"])) {
        let path = at(plugin, &["mirrors", &key.value, "endpoint"]);
        let endpoints = toml.item(&path).map(|_| toml.strings(&path).into_iter().map(spanned).collect());
        part.mirrors.insert(key.value, MirrorPart { endpoints, place: place(key.span.start) });
    }
    for key in toml.keys(&at(plugin, &["configs"])) {
        part.configs = true;
        let host = key.value.as_str();
        let text = |name: &str| {
            let found = toml.string(&at(plugin, &["configs", host, "tls", name])).map(|found| found.value);
            found.filter(|path| !path.is_empty())
        };
        if toml.item(&at(plugin, &["configs", host, "tls"])).is_some() {
            let skip = toml.boolean(&at(plugin, &["configs", host, "tls", "insecure_skip_verify"]));
            let tls = TlsPart {
                skip_verify: skip.map(|found| found.value),
                ca: text("ca_file"),
                certificate: text("cert_file"),
                key: text("key_file"),
                place: Some(place(key.span.start)),
            };
            part.tls.insert(host.to_owned(), tls);
        }
        if toml.item(&at(plugin, &["configs", host, "auth"])).is_some() {
            part.auth.insert(host.to_owned(), credentials(file, plugin, host));
        }
    }
    part
}

/// Settings that the transfer service does not know, and whether they are set so that it is not used.
fn local(file: &ConfigFile, plugin: &str) -> BTreeMap<&'static str, bool> {
    let toml = &file.toml;
    let flag = |name: &str| {
        // Until version 2 the last two lie one table deeper.
        let found = toml.boolean(&["plugins", plugin, name]);
        found.or_else(|| toml.boolean(&["plugins", plugin, "containerd", name])).map(|found| found.value)
    };
    let downloads = toml.integer(&["plugins", plugin, "max_concurrent_downloads"]);
    let all = [
        ("use_local_image_pull", flag("use_local_image_pull")),
        ("image_pull_with_sync_fs", flag("image_pull_with_sync_fs")),
        ("discard_unpacked_layers", flag("discard_unpacked_layers")),
        ("disable_snapshot_annotations", flag("disable_snapshot_annotations").map(|set| !set)),
        ("max_concurrent_downloads", downloads.map(|found| found.value != DOWNLOADS)),
    ];
    all.into_iter().filter_map(|(name, found)| Some((name, found?))).collect()
}

/// Credentials of a host; `None` where they are of a kind that is not tried here.
fn credentials(file: &ConfigFile, plugin: &str, host: &str) -> Option<Credentials> {
    let text = |name: &str| {
        let found = file.toml.string(&at(plugin, &["configs", host, "auth", name])).map(|found| found.value);
        found.filter(|text| !text.is_empty())
    };
    if let Some(user) = text("username") {
        return Some(Credentials::new(user, text("password").unwrap_or_default()));
    }
    let decoded = BASE64.decode(text("auth")?.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credentials::new(user, password.trim_end_matches('\0')))
}

/// The keys down to something of a plugin's registry settings.
fn at<'a>(plugin: &'a str, path: &[&'a str]) -> Vec<&'a str> {
    [&["plugins", plugin, "registry"], path].concat()
}
