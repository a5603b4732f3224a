//! Puts a cluster into the user's kubeconfig, and takes it out again.
//!
//! The file is the user's: comments, order, unknown fields and formatting of
//! everything that is not ours stay as they are, byte for byte. So the text is
//! edited, never written anew. Our entries carry an extension named `shipmate`;
//! an entry of the same name without it belongs to somebody else and is left
//! alone. Files are chosen, and locked while they change, as kubectl does it
//! (client-go, tools/clientcmd).

mod edit;
mod file;
mod tree;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::{Error, Result};
use tree::Node;

/// Name of the extension that marks our entries.
const EXTENSION: &str = "shipmate";
/// Lists of a kubeconfig, with the key of the payload in their items.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("contexts", "context"), ("users", "user")];
const CURRENT: &str = "current-context";

/// How to reach a cluster, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// Name of the context, the cluster and the user.
    pub name: String,
    /// `https://HOST:PORT`.
    pub server: String,
    /// Certificate authority, PEM.
    pub ca: String,
    /// Client certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// Where the cluster lives: tells clusters of the same name apart.
    pub home: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access {{ name: {:?}, server: {:?}, key: withheld }}", self.name, self.server)
    }
}

/// The files of `$KUBECONFIG`, or `~/.kube/config`.
pub fn files() -> Result<Vec<PathBuf>> {
    let variable = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<PathBuf> = std::env::split_paths(&variable).filter(|path| !path.as_os_str().is_empty()).collect();
    if !listed.is_empty() {
        return Ok(listed);
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or_else(|| Error::refused("HOME is not set: set KUBECONFIG to the file to write"))?;
    Ok(vec![Path::new(&home).join(".kube/config")])
}

/// Adds or updates the entries of a cluster, and makes its context the current
/// one. Gives the file that was written: of several, the first that exists, and
/// the last if none does, which is kubectl's choice too.
pub fn merge(files: &[PathBuf], access: &Access) -> Result<PathBuf> {
    let target = files
        .iter()
        .find(|file| file.exists())
        .or(files.last())
        .ok_or_else(|| Error::refused("no kubeconfig file is named: set KUBECONFIG"))?;
    for other in files.iter().filter(|file| *file != target) {
        let text = file::read(other)?.unwrap_or_default();
        check_owner(&text, &access.name, &access.home).map_err(unusable(other))?;
    }
    file::update(target, |text| {
        let changed = merge_text(text.unwrap_or_default(), access)?;
        Ok(Some(changed))
    })?;
    Ok(target.clone())
}

/// Takes the entries of a cluster out of every file. If its context was the
/// current one, the one before becomes it again. A file in which nothing else
/// ever was is removed. Gives the files that changed.
pub fn remove(files: &[PathBuf], name: &str, home: &str) -> Result<Vec<PathBuf>> {
    let mut changed = Vec::new();
    for file in files.iter().filter(|file| file.exists()) {
        let different = file::update(file, |text| {
            let text = text.unwrap_or_default();
            let after = remove_text(text, name, home)?;
            Ok(if is_skeleton(&after) && after != text { None } else { Some(after) })
        })?;
        if different {
            changed.push(file.clone());
        }
    }
    Ok(changed)
}

fn unusable(path: &Path) -> impl FnOnce(String) -> Error {
    let path = path.display().to_string();
    move |reason| Error::refused(format!("kubeconfig {path} cannot be used: {reason}"))
}

fn merge_text(text: &str, access: &Access) -> Result<String, String> {
    check_owner(text, &access.name, &access.home)?;
    let root = tree::parse(text)?;
    let current = root.as_ref().and_then(|root| root.get(CURRENT)).and_then(Node::text).unwrap_or_default();
    // A second start must not take our own context for the one before.
    let before = match (ours(root.as_ref(), "contexts", current), current == access.name) {
        (Some(item), true) => Before::read(item),
        // Of another cluster of ours, what was before that one is remembered too: it may go first.
        (Some(item), false) if extension(item).is_some() => {
            let theirs = Before::read(item);
            let last = if theirs.last.is_empty() { theirs.previous } else { theirs.last };
            Before { previous: current.to_owned(), last }
        }
        _ => Before { previous: current.to_owned(), last: String::new() },
    };
    let mut changed = if root.is_none() {
        edit::set_scalar(&edit::set_scalar(text, "apiVersion", "v1")?, "kind", "Config")?
    } else {
        text.to_owned()
    };
    for (list, payload) in LISTS {
        let mut item = entry(payload, access, &before);
        // What `kubectl config set-context --current --namespace` chose stays chosen.
        let old = ours(root.as_ref(), list, &access.name).and_then(|old| old.get("context"));
        if let Some(namespace) = old.and_then(|old| old.get("namespace")).and_then(Node::text) {
            item[payload]["namespace"] = json!(namespace);
        }
        changed = edit::set_item(&changed, list, &access.name, &item)?;
    }
    changed = edit::set_scalar(&changed, CURRENT, &access.name)?;
    verify(text, &changed, &access.name)?;
    Ok(changed)
}

fn remove_text(text: &str, name: &str, home: &str) -> Result<String, String> {
    let Some(root) = tree::parse(text)? else { return Ok(text.to_owned()) };
    let current = root.get(CURRENT).and_then(Node::text);
    let mut changed = text.to_owned();
    let is_ours = |list: &str| {
        ours(Some(&root), list, name)
            .and_then(extension)
            .is_some_and(|mark| mark.get("home").and_then(Node::text) == Some(home))
    };
    let had_context = is_ours("contexts");
    for (list, _) in LISTS {
        if is_ours(list) {
            changed = edit::remove_item(&changed, list, name)?;
        }
    }
    if had_context && current == Some(name) {
        let before = ours(Some(&root), "contexts", name).map(Before::read).unwrap_or_default();
        let exists = |wanted: &&String| ours(Some(&root), "contexts", wanted).is_some();
        let back = [&before.previous, &before.last].into_iter().find(exists).map_or("", String::as_str);
        changed = edit::set_scalar(&changed, CURRENT, back)?;
    }
    verify(text, &changed, name)?;
    Ok(changed)
}

/// Refuses a file with entries of this name that are not this cluster's.
fn check_owner(text: &str, name: &str, home: &str) -> Result<(), String> {
    let root = tree::parse(text)?;
    for (list, payload) in LISTS {
        let Some(item) = ours(root.as_ref(), list, name) else { continue };
        match extension(item).map(|mark| mark.get("home").and_then(Node::text)) {
            Some(Some(owner)) if owner == home => {}
            Some(Some(owner)) => {
                return Err(format!(
                    "its {payload} {name:?} belongs to the cluster in {owner}: choose another name for this one"
                ));
            }
            _ => {
                return Err(format!(
                    "it has a {payload} named {name:?} that shipmate did not make: choose another name for the \
                     cluster, or rename that one (`kubectl config rename-context {name} NEW`)"
                ));
            }
        }
    }
    Ok(())
}

/// The item of this name in a list.
fn ours<'a>(root: Option<&'a Node>, list: &str, name: &str) -> Option<&'a Node> {
    root?.get(list)?.items().iter().find(|item| edit::named(item, name))
}

/// Our extension of an item.
fn extension(item: &Node) -> Option<&Node> {
    let payload = LISTS.iter().find_map(|(_, payload)| item.get(payload))?;
    let extensions = payload.get("extensions")?.items();
    extensions.iter().find(|extension| edit::named(extension, EXTENSION))?.get("extension")
}

/// Which contexts were the current one before ours.
#[derive(Default)]
struct Before {
    previous: String,
    /// If the previous one is ours too: the last one that was not.
    last: String,
}

impl Before {
    fn read(item: &Node) -> Self {
        let text = |key| extension(item).and_then(|mark| mark.get(key)?.text()).unwrap_or_default().to_owned();
        Self { previous: text("previousContext"), last: text("contextBefore") }
    }
}

fn entry(payload: &str, access: &Access, before: &Before) -> Value {
    let mut mark = json!({"home": access.home});
    let encode = |pem: &str| BASE64.encode(pem);
    let mut content = match payload {
        "cluster" => json!({"certificate-authority-data": encode(&access.ca), "server": access.server}),
        "context" => {
            for (key, name) in [("previousContext", &before.previous), ("contextBefore", &before.last)] {
                if !name.is_empty() {
                    mark[key] = json!(name);
                }
            }
            json!({"cluster": access.name, "user": access.name})
        }
        _ => json!({
            "client-certificate-data": encode(&access.certificate),
            "client-key-data": encode(&access.key),
        }),
    };
    content["extensions"] = json!([{"extension": mark, "name": EXTENSION}]);
    json!({payload: content, "name": access.name})
}

/// Refuses a change that would alter the meaning of anything that is not ours.
fn verify(before: &str, after: &str, name: &str) -> Result<(), String> {
    let unusual = || "it is written in a way that cannot be edited safely; nothing was changed".to_owned();
    let (before, after) = (tree::parse(before)?, tree::parse(after).map_err(|_| unusual())?);
    let rest = |root: &Option<Node>| -> Vec<(String, Vec<Node>)> {
        let Some(tree::Shape::Map { entries, .. }) = root.as_ref().map(|root| &root.shape) else { return Vec::new() };
        let mut rest = Vec::new();
        for (key, value) in entries {
            let key = key.text().unwrap_or_default().to_owned();
            let listed = LISTS.iter().any(|(list, _)| *list == key);
            let values = match listed {
                true => value.items().iter().filter(|item| !edit::named(item, name)).cloned().collect(),
                false => vec![value.clone()],
            };
            let added = root_keys_we_add(&key, &before);
            if key != CURRENT && !added && !(listed && values.is_empty()) {
                rest.push((key, values));
            }
        }
        rest
    };
    let (old, new) = (rest(&before), rest(&after));
    let same = old.len() == new.len()
        && old.iter().zip(&new).all(|((key, old), (other, new))| {
            key == other && old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.means(new))
        });
    if same { Ok(()) } else { Err(unusual()) }
}

/// `apiVersion` and `kind` of a file that was empty.
fn root_keys_we_add(key: &str, before: &Option<Node>) -> bool {
    before.is_none() && matches!(key, "apiVersion" | "kind")
}

/// Whether a file holds only what a merge into an empty file and a removal leave.
fn is_skeleton(text: &str) -> bool {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines == ["apiVersion: v1", "clusters: []", "contexts: []", "current-context: \"\"", "kind: Config", "users: []"]
}

#[cfg(test)]
mod tests;
