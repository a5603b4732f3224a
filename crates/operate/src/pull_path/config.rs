//! containerd's configuration as it is in force: the file, what it imports, and which part of it is for registries.

use std::collections::{BTreeMap, VecDeque};

use doctor::read::toml::Toml;
use doctor::text::Position;

use super::files::{Files, Found, join, parent};
use super::part::{Part, of_file};
use super::release::Release;
use super::{Note, Place};
use crate::registry::Credentials;

/// Files that import one another without end are cut off here.
const MAX_FILES: usize = 64;
const SHORT: &str = "cri";
const LONG: &str = "io.containerd.grpc.v1.cri";
const NEW: &str = "io.containerd.cri.v1.images";

/// The registry part of the configuration in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    /// Directories with a subdirectory for each registry.
    pub(super) config_path: Option<(String, Option<Place>)>,
    /// Endpoints by host.
    pub(super) mirrors: BTreeMap<String, Mirror>,
    /// Hosts for which TLS settings are written down.
    pub(super) tls: BTreeMap<String, Tls>,
    /// Hosts for which credentials are written down.
    pub(super) auth: BTreeMap<String, Option<Credentials>>,
    /// Whether the transfer service pulls.
    pub(super) by_transfer: bool,
    /// What else there is to know.
    pub(super) notes: Vec<Note>,
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
    /// Certificate and key.
    pub(super) client: Option<(String, String)>,
    pub(super) place: Option<Place>,
}

/// A file of the configuration.
pub(super) struct ConfigFile {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) toml: Toml,
}

impl ConfigFile {
    fn version(&self) -> Option<i64> {
        self.toml.integer(&["version"]).map(|found| found.value).filter(|version| *version > 0)
    }

    fn has(&self, plugin: &str) -> bool {
        self.toml.item(&["plugins", plugin]).is_some()
    }
}

type Refused = (String, Option<Place>);

/// Reads the configuration in force; the error is a configuration with which containerd has no registries at all.
pub(super) fn read(files: &mut Files, main: &str, release: Release) -> Result<Registry, Refused> {
    let loaded = load(files, main, release)?;
    starts(&loaded, release)?;
    let (part, notes) = if release.merges_tables() { merged(&loaded, release) } else { replaced(&loaded) };
    let by_transfer = release.pulls_by_transfer() && !part.pulls_locally();
    let mut registry = part.registry();
    if registry.config_path.is_none() && registry.mirrors.is_empty() {
        registry.config_path = release.default_config_path().map(|path| (path.to_owned(), None));
    }
    (registry.by_transfer, registry.notes) = (by_transfer, notes);
    if !release.reads_tls_of_configs() {
        for (host, tls) in std::mem::take(&mut registry.tls) {
            let words = format!("containerd 2 ignores the TLS settings of {host} in `registry.configs`");
            registry.notes.push(Note { words, place: tls.place, bypassed: true });
        }
    }
    check(&registry, release)?;
    Ok(registry)
}

/// In 1.x a plugin's table in a later file replaces that of an earlier one whole.
fn replaced(loaded: &[ConfigFile]) -> (Part, Vec<Note>) {
    // The last file that names a version decides about all of them.
    let version = loaded.iter().filter_map(ConfigFile::version).next_back().unwrap_or(1);
    let plugin = if version <= 1 { SHORT } else { LONG };
    let mut notes = Vec::new();
    let mut part = Part::default();
    for file in loaded.iter().filter(|file| file.has(plugin)) {
        if let Some(place) = part.first_place() {
            let words = format!(
                "these settings of {} are replaced as a whole by the plugin's table in {}: containerd 1.x does not merge them",
                place.path, file.path
            );
            notes.push(Note { words, place: Some(place), bypassed: true });
        }
        part = of_file(file, plugin);
    }
    (part, notes)
}

/// In 2.x tables are merged, values and lists replaced. The old plugin's registry table, where it counts, takes the place of
/// the new one's.
fn merged(loaded: &[ConfigFile], release: Release) -> (Part, Vec<Note>) {
    let newest = release.newest_config();
    let mut last = newest;
    let (mut old, mut new) = (Part::default(), Part::default());
    for file in loaded {
        let own = file.version().unwrap_or(0);
        let mut file_old = of_file(file, LONG);
        if own <= 1 {
            file_old.overlay(of_file(file, SHORT));
        }
        let mut file_new = of_file(file, NEW);
        if release.migrates_each_file() {
            if own < newest {
                file_new.take_registry_of(&file_old);
            }
            new.overlay(file_new);
            continue;
        }
        // Files of version 1 are brought to the version that is in force so far.
        last = if own <= 1 { last } else { own };
        old.overlay(file_old);
        new.overlay(file_new);
    }
    let mut notes = Vec::new();
    if !release.migrates_each_file() {
        if last < newest {
            new.take_registry_of(&old);
        } else if let Some(place) = old.first_place() {
            let words =
                format!("these settings count for nothing in a configuration of version {last}: it wants `{NEW}`");
            notes.push(Note { words, place: Some(place), bypassed: true });
        }
    }
    (new, notes)
}

/// What keeps containerd from starting at all.
fn starts(loaded: &[ConfigFile], release: Release) -> Result<(), Refused> {
    let named = loaded.iter().rev().find(|file| file.version().is_some());
    let Some((file, version)) = named.and_then(|file| Some((file, file.version()?))) else { return Ok(()) };
    let at = |path: &[&str]| {
        let span = file.toml.key(path).map(|key| key.span.start)?;
        Some(Place::of(&file.path, &file.text, span))
    };
    let newest = release.newest_config();
    if version > newest {
        let words = if release.merges_tables() {
            format!("expected containerd config version equal to or less than `{newest}`, got `{version}`")
        } else {
            format!("unsupported config version `{version}`")
        };
        return Err((format!("containerd does not start: {words}"), at(&["version"])));
    }
    if release.merges_tables() || version < 2 {
        return Ok(());
    }
    for file in loaded {
        let short = |key: &str| !key.starts_with("io.containerd.") || key.splitn(4, '.').count() < 4;
        if let Some(key) = file.toml.keys(&["plugins"]).into_iter().find(|key| short(&key.value)) {
            let words =
                format!("containerd does not start: invalid plugin key URI {:?} expect io.containerd.x.vx", key.value);
            return Err((words, Some(Place::of(&file.path, &file.text, key.span.start))));
        }
    }
    Ok(())
}

fn load(files: &mut Files, main: &str, release: Release) -> Result<Vec<ConfigFile>, Refused> {
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
            pending.extend(matching(files, &path, &import.value, release));
        }
        loaded.push(ConfigFile { path, text, toml });
    }
    Ok(loaded)
}

/// The files that an import names.
fn matching(files: &mut Files, of: &str, import: &str, release: Release) -> Vec<String> {
    // Services are started in the root directory.
    let from = if import.contains('*') && !release.globs_from_file() { "/" } else { parent(of) };
    let path = if import.starts_with('/') { join(import, "") } else { join(from, import) };
    if !path.contains('*') {
        return vec![path];
    }
    let directory = parent(&path).to_owned();
    let Found::Directory(names) = files.get(&directory) else { return Vec::new() };
    let pattern = path.rsplit('/').next().unwrap_or_default();
    let (before, after) = pattern.split_once('*').unwrap_or_default();
    let mut found: Vec<String> = names
        .into_iter()
        .filter(|name| name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after))
        .map(|name| join(&directory, &name))
        .collect();
    found.sort();
    found
}

/// What keeps the CRI plugin from being loaded.
fn check(registry: &Registry, release: Release) -> Result<(), Refused> {
    let Some((_, place)) = &registry.config_path else { return Ok(()) };
    let refused = |what: &str| {
        let words = format!("the CRI plugin is not loaded: `{what}` cannot be set when `config_path` is provided");
        Err((words, place.clone()))
    };
    if !registry.mirrors.is_empty() {
        return refused("mirrors");
    }
    if release.reads_tls_of_configs() && !registry.tls.is_empty() {
        return refused("configs.tls");
    }
    Ok(())
}

/// A line of a text.
pub(super) fn line(text: &str, position: Position) -> String {
    text.lines().nth(position.line.saturating_sub(1) as usize).unwrap_or_default().to_owned()
}
