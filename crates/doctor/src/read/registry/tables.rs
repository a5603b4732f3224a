//! Names of tables under which containerd looks for registry settings, and those that it ignores.

use crate::read::ContainerdConfig;
use crate::read::toml::{Spanned, Toml};
use crate::text::is_invisible;

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
            continue;
        }
        let version = config.version();
        let near = bare == right || crate::near::nearest(name, [right]).is_some();
        let split = version == 3 && (name == OLD_PLUGIN || name == "io.containerd.cri.v1.runtime");
        let unknown = version >= 2 && !KNOWN_PLUGINS.contains(&name) && name != "cri";
        if version == 2 && name.starts_with("io.containerd.cri.v1.") && !near {
            if major.is_none_or(|major| major < 2) {
                all.push(Misplaced { key, wanted: right.to_owned(), sure: major.is_some() });
            }
        } else if near || split || unknown {
            all.push(sure(key, right));
        }
    }
    all
}

/// Plugins that the other rules speak of.
const KNOWN_PLUGINS: [&str; 3] = [OLD_PLUGIN, NEW_PLUGIN, "io.containerd.cri.v1.runtime"];

/// Whether a plugin's table has registry settings that say something.
fn has_settings(toml: &Toml, plugin: &str) -> bool {
    let filled = |path: &[&str]| !toml.keys(path).is_empty();
    let at = |rest: &[&'static str]| [&["plugins", plugin], rest].concat();
    let config_path = toml.string(&at(&["registry", "config_path"])).is_some_and(|found| !found.value.is_empty());
    let tables = ["mirrors", "configs"].iter().any(|table| filled(&at(&["registry", table])));
    let other = toml
        .keys(&at(&[]))
        .iter()
        .any(|key| key.value != "registry" && crate::near::nearest(&key.value, ["registry"]).is_some());
    let inner = toml.keys(&at(&["registry"])).iter().any(|key| !REGISTRY_KEYS.contains(&key.value.as_str()));
    config_path || tables || other || inner
}

const REGISTRY_KEYS: [&str; 5] = ["config_path", "mirrors", "configs", "auths", "headers"];

/// Names within the right plugin's table that are misspelt.
fn misspelt(toml: &Toml, plugin: &str) -> Vec<Misplaced> {
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
