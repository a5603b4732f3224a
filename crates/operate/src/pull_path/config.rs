//! containerd's configuration as it is in force: the file, what it imports, and which part of it is for registries.

use std::collections::{BTreeMap, VecDeque};

use doctor::read::toml::{Spanned, Toml};
use doctor::text::Position;

use super::Place;
use super::files::{Files, Found, join, parent};

/// Files that import one another without end are cut off here.
const MAX_FILES: usize = 64;

/// The registry part of the configuration in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    /// Directories with a subdirectory for each registry.
    pub(super) config_path: Option<(String, Place)>,
    /// Endpoints by host.
    pub(super) mirrors: BTreeMap<String, Mirror>,
    /// Hosts for which TLS settings are written down.
    pub(super) tls: BTreeMap<String, Tls>,
    /// Hosts for which credentials are written down.
    pub(super) auth: BTreeMap<String, Place>,
}

/// The endpoints of a host.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) endpoints: Vec<(String, Place)>,
    pub(super) place: Place,
}

/// TLS settings of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    pub(super) skip_verify: bool,
    pub(super) ca: Option<String>,
    pub(super) place: Option<Place>,
}

struct ConfigFile {
    path: String,
    text: String,
    toml: Toml,
}

/// Reads the configuration in force; the error is a configuration with which containerd has no registries at all.
pub(super) fn read(files: &mut Files, main: &str, major: u32) -> Result<Registry, (String, Option<Place>)> {
    let loaded = load(files, main)?;
    // The last file that names a version decides about all of them.
    let version = loaded.iter().filter_map(|file| file.toml.integer(&["version"])).next_back().map_or(1, |v| v.value);
    let mut registry = Registry::default();
    // A plugin's table in a later file replaces that of an earlier one whole.
    for file in &loaded {
        let own = file.toml.integer(&["version"]).map_or(version, |found| found.value);
        let plugin = plugin(major, if major >= 2 { own } else { version });
        if file.toml.item(&["plugins", plugin]).is_some() {
            registry = of_file(file, plugin);
        }
    }
    check(&registry)?;
    Ok(registry)
}

/// Under which name the settings of images stand.
fn plugin(major: u32, version: i64) -> &'static str {
    match version {
        ..=1 => "cri",
        3.. if major >= 2 => "io.containerd.cri.v1.images",
        _ => "io.containerd.grpc.v1.cri",
    }
}

fn load(files: &mut Files, main: &str) -> Result<Vec<ConfigFile>, (String, Option<Place>)> {
    let mut loaded: Vec<ConfigFile> = Vec::new();
    let mut pending = VecDeque::from([main.to_owned()]);
    while let Some(path) = pending.pop_front() {
        if loaded.iter().any(|file| file.path == path) || loaded.len() >= MAX_FILES {
            continue;
        }
        let text = match files.get(&path) {
            Found::File(text) => text,
            Found::Missing if path == main => return Ok(Vec::new()), // containerd runs on its defaults.
            Found::Missing => {
                return Err((format!("containerd does not start: it imports {path}, which is not there"), None));
            }
            Found::Directory(_) => return Err((format!("containerd does not start: {path} is a directory"), None)),
            Found::Unreadable(why) => return Err((format!("{path} could not be read: {why}"), None)),
        };
        let toml = Toml::read(&text).map_err(|refused| {
            let place =
                Place { path: path.clone(), position: Some(refused.position), line: line(&text, refused.position) };
            (format!("containerd does not start with this configuration: {}", refused.message), Some(place))
        })?;
        for import in toml.strings(&["imports"]) {
            pending.extend(matching(files, &path, &import.value));
        }
        loaded.push(ConfigFile { path, text, toml });
    }
    Ok(loaded)
}

/// The files that an import names.
fn matching(files: &mut Files, of: &str, import: &str) -> Vec<String> {
    if !import.contains('*') {
        let path = if import.starts_with('/') { join(import, "") } else { join(parent(of), import) };
        return vec![path];
    }
    let Found::Directory(names) = files.get(parent(import)) else { return Vec::new() };
    let (before, after) = import.rsplit_once('/').unwrap_or(("", import)).1.split_once('*').unwrap_or_default();
    let mut found: Vec<String> = names
        .into_iter()
        .filter(|name| name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after))
        .map(|name| join(parent(import), &name))
        .collect();
    found.sort();
    found
}

fn of_file(file: &ConfigFile, plugin: &str) -> Registry {
    let toml = &file.toml;
    let place = |span: usize| Place::of(&file.path, &file.text, span);
    let spanned = |found: Spanned<String>| {
        let place = place(found.span.start);
        (found.value, place)
    };
    let mut registry = Registry {
        config_path: toml.string(&at(plugin, &["config_path"])).filter(|found| !found.value.is_empty()).map(spanned),
        ..Registry::default()
    };
    for key in toml.keys(&at(plugin, &["mirrors"])) {
        let endpoints =
            toml.strings(&at(plugin, &["mirrors", &key.value, "endpoint"])).into_iter().map(spanned).collect();
        let mirror = Mirror { endpoints, place: place(key.span.start) };
        registry.mirrors.insert(key.value, mirror);
    }
    for key in toml.keys(&at(plugin, &["configs"])) {
        let host = key.value.as_str();
        if toml.item(&at(plugin, &["configs", host, "tls"])).is_some() {
            let skip = toml.boolean(&at(plugin, &["configs", host, "tls", "insecure_skip_verify"]));
            let ca = toml.string(&at(plugin, &["configs", host, "tls", "ca_file"])).map(|found| found.value);
            let tls = Tls {
                skip_verify: skip.is_some_and(|found| found.value),
                ca: ca.filter(|path| !path.is_empty()),
                place: Some(place(key.span.start)),
            };
            registry.tls.insert(host.to_owned(), tls);
        }
        if toml.item(&at(plugin, &["configs", host, "auth"])).is_some() {
            registry.auth.insert(host.to_owned(), place(key.span.start));
        }
    }
    registry
}

/// The keys down to something of a plugin's registry settings.
fn at<'a>(plugin: &'a str, path: &[&'a str]) -> Vec<&'a str> {
    [&["plugins", plugin, "registry"], path].concat()
}

/// What keeps the CRI plugin from being loaded.
fn check(registry: &Registry) -> Result<(), (String, Option<Place>)> {
    let Some((_, place)) = &registry.config_path else { return Ok(()) };
    let refused = |what: &str| {
        let words = format!("the CRI plugin is not loaded: `{what}` cannot be set when `config_path` is provided");
        Err((words, Some(place.clone())))
    };
    if !registry.mirrors.is_empty() {
        return refused("mirrors");
    }
    if !registry.tls.is_empty() {
        return refused("configs.tls");
    }
    Ok(())
}

/// A line of a text.
pub(super) fn line(text: &str, position: Position) -> String {
    text.lines().nth(position.line.saturating_sub(1) as usize).unwrap_or_default().to_owned()
}
