//! containerd's plugins: the table of `ctr plugins ls`, the details of `ctr plugins ls -d`, and what the journal says
//! of their loading.

use std::sync::LazyLock;

use regex::Regex;

use super::log;
use crate::evidence::{Item, ItemKind};

/// How a plugin fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginStatus {
    /// It works.
    Ok,
    /// It is not for this machine.
    Skip,
    /// It failed.
    Error,
}

/// What is known about a plugin of a node's containerd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// The node; empty when not told.
    pub node: String,
    /// Such as `io.containerd.grpc.v1`.
    pub kind: String,
    /// Such as `cri`.
    pub id: String,
    /// How it fared.
    pub status: PluginStatus,
    /// Why it failed, if told.
    pub error: String,
}

impl Plugin {
    /// Whether it serves the CRI or is a part of what does.
    pub fn is_cri(&self) -> bool {
        (self.kind == "io.containerd.grpc.v1" && self.id == "cri") || self.kind == "io.containerd.cri.v1"
    }

    /// Whether it is this snapshotter.
    pub fn is_snapshotter(&self, name: &str) -> bool {
        self.kind == "io.containerd.snapshotter.v1" && self.id == name
    }
}

/// Plugins of an evidence.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    /// Every mention, in the order of the items.
    pub mentions: Vec<Plugin>,
    /// Tables that show all plugins or many of them: item and node.
    pub tables: Vec<(usize, String)>,
}

static ROW: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^\s*(io\.containerd\.[\w.\-]+)\s+([\w.\-]+)\s+(\S+(?:, ?\S+)*)\s+(ok|skip|error)\s*$").ok()
});

impl Plugins {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut plugins = Self::default();
        for (number, item) in items.iter().enumerate() {
            match item.kind {
                ItemKind::CtrOutput | ItemKind::NodeFacts | ItemKind::Text | ItemKind::ContainerdLog => {
                    plugins.read(number, item);
                }
                _ => {}
            }
        }
        plugins
    }

    fn read(&mut self, number: usize, item: &Item) {
        let node = item.origin.node().unwrap_or_default().to_owned();
        let before = self.mentions.len();
        let mut detail: Option<Plugin> = None;
        for (index, raw) in item.text.lines().enumerate() {
            let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let at = |kind: &str, id: &str, status| Plugin {
                item: number,
                line,
                node: node.clone(),
                kind: kind.to_owned(),
                id: id.to_owned(),
                status,
                error: String::new(),
            };
            if item.kind == ItemKind::ContainerdLog && raw.contains("starting containerd") {
                // What an earlier start came to no longer counts.
                self.mentions.truncate(before);
            }
            if let Some(row) = ROW.as_ref().and_then(|row| row.captures(raw)) {
                let status = match &row[4] {
                    "ok" => PluginStatus::Ok,
                    "skip" => PluginStatus::Skip,
                    _ => PluginStatus::Error,
                };
                self.mentions.push(at(&row[1], &row[2], status));
                continue;
            }
            if let Some((kind, id, error)) = failed_load(raw) {
                let status = if error.ends_with("skip plugin") { PluginStatus::Skip } else { PluginStatus::Error };
                self.mentions.push(Plugin { error, ..at(&kind, &id, status) });
                continue;
            }
            let (key, value) = raw.trim().split_once(':').unwrap_or((raw.trim(), ""));
            match (key, value.trim()) {
                ("Type", kind) if kind.starts_with("io.containerd.") => {
                    self.mentions.extend(detail.take());
                    detail = Some(at(kind, "", PluginStatus::Ok));
                }
                ("ID", id) if !id.is_empty() => {
                    if let Some(detail) = &mut detail {
                        id.clone_into(&mut detail.id);
                    }
                }
                ("Message", words) if !words.is_empty() => {
                    // A tail of the details, without the head, is about the CRI: nobody asks for another one.
                    let found = detail.get_or_insert_with(|| at("io.containerd.grpc.v1", "cri", PluginStatus::Ok));
                    found.status = PluginStatus::Error;
                    words.clone_into(&mut found.error);
                    found.line = line;
                }
                _ => {}
            }
        }
        let details = detail.is_some();
        self.mentions.extend(detail.filter(|detail| detail.status == PluginStatus::Error || !detail.id.is_empty()));
        let rows = self.mentions.len() - before;
        if !details && rows > 0 && item.kind != ItemKind::ContainerdLog {
            self.tables.push((number, node));
        }
    }

    /// What is said of the CRI plugin on a node that the name fits.
    pub fn cri<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Plugin> {
        self.mentions.iter().filter(move |plugin| plugin.is_cri() && super::same_node(&plugin.node, node))
    }

    /// Errors of the CRI plugin on a node, in the words of containerd.
    pub fn cri_errors<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Plugin> {
        self.cri(node).filter(|plugin| plugin.status == PluginStatus::Error && !plugin.error.is_empty())
    }

    /// Whether the CRI plugin is shown as working.
    pub fn cri_works(&self, node: &str) -> bool {
        let mut all = self.cri(node).peekable();
        all.peek().is_some() && all.all(|plugin| plugin.status == PluginStatus::Ok)
    }

    /// What is said of a snapshotter on a node.
    pub fn snapshotter<'a>(&'a self, node: &'a str, name: &'a str) -> impl Iterator<Item = &'a Plugin> {
        let fits = move |plugin: &&Plugin| plugin.is_snapshotter(name) && super::same_node(&plugin.node, node);
        self.mentions.iter().filter(fits)
    }
}

/// Kind, id and error of `failed to load plugin …` (1.x: the name in the words; 2.x: in fields).
fn failed_load(raw: &str) -> Option<(String, String, String)> {
    if !raw.contains("load plugin") && !raw.contains("loading plugin") {
        return None;
    }
    let rest = log::journal(raw).map_or(raw.trim(), |(_, _, rest)| rest);
    let read = log::line(rest)?;
    let field = |name: &str| read.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let error = field("error")?.to_owned();
    if let (Some(kind), Some(id)) = (field("type"), field("id"))
        && kind.starts_with("io.containerd.")
    {
        let id = id.strip_prefix(kind).map_or(id, |id| id.trim_start_matches('.'));
        return Some((kind.to_owned(), id.to_owned(), error));
    }
    let start = read.text.find("io.containerd.")?;
    let uri = read.text[start..].split(|end: char| end == '"' || end == ':' || end.is_whitespace()).next()?;
    let (kind, id) = uri.trim_end_matches('.').rsplit_once('.')?;
    Some((kind.to_owned(), id.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Origin;

    fn plugins(kind: ItemKind, text: &str) -> Plugins {
        Plugins::of(&[Item { kind, origin: Origin("n1: ctr plugins ls".to_owned()), text: text.to_owned() }])
    }

    #[test]
    fn tables_details_and_journals() {
        let table = "TYPE   ID   PLATFORMS   STATUS\nio.containerd.snapshotter.v1    overlayfs   linux/amd64    ok        \nio.containerd.grpc.v1           cri                      linux/amd64    error     \n";
        let read = plugins(ItemKind::CtrOutput, table);
        assert_eq!(read.tables.len(), 1);
        assert_eq!(read.cri("n1").next().unwrap().status, PluginStatus::Error);
        assert!(read.snapshotter("", "overlayfs").any(|plugin| plugin.status == PluginStatus::Ok));

        let detail = "Type:          io.containerd.grpc.v1\nID:            cri\nError:        \n               Code:        Unknown\n               Message:     bad: \"x\"\n";
        let read = plugins(ItemKind::CtrOutput, detail);
        assert_eq!(read.cri_errors("n1").next().unwrap().error, "bad: \"x\"");
        assert!(read.tables.is_empty());

        let old = r#"time="t" level=warning msg="failed to load plugin io.containerd.grpc.v1.cri" error="e \"q\"""#;
        let new = r#"time="t" level=warning msg="failed to load plugin" error="e2" id=io.containerd.cri.v1.images type=io.containerd.cri.v1"#;
        let read = plugins(ItemKind::ContainerdLog, &format!("{old}\n{new}\n"));
        let errors: Vec<_> = read.cri_errors("").map(|one| (one.id.as_str(), one.error.as_str())).collect();
        assert_eq!(errors, [("cri", "e \"q\""), ("images", "e2")]);
    }
}
