//! What was seen: texts with their origins, as programs printed them and as files hold them.
//!
//! Evidence is the only thing that rules look at. It is the same whether it was collected a moment ago, loaded from a
//! bundle, or pasted. Nothing is interpreted here; [`crate::read`] does that, once and when asked.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::read::Read;

/// What a piece of evidence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// Objects of the API as JSON: one object or a list of any kinds. Values of Secrets are never in it.
    Objects,
    /// `kubectl describe`, or its table of events.
    PodEvents,
    /// A pod as JSON.
    PodStatus,
    /// Pods as JSON.
    Pods,
    /// What `kubectl` or Helm printed.
    KubectlOutput,
    /// What `kubeadm` printed.
    KubeadmOutput,
    /// What `crictl` printed.
    CrictlOutput,
    /// What `ctr` or `nerdctl` printed.
    CtrOutput,
    /// The kubelet's journal.
    KubeletLog,
    /// containerd's journal.
    ContainerdLog,
    /// A file of containerd's configuration.
    ContainerdConfig,
    /// A `hosts.toml`.
    HostsToml,
    /// A kubeconfig.
    Kubeconfig,
    /// A manifest.
    Manifest,
    /// `pg_stat_activity`, or what a PostgreSQL client or server said.
    PgActivity,
    /// `conntrack -L`.
    Conntrack,
    /// What a command on a node, or a file of it, says.
    NodeFacts,
    /// Any text that somebody pasted.
    Text,
    /// A source that could not be read; the text says why.
    Unavailable,
}

/// Where an item comes from, as it was written down: `node-1: findmnt -T /var/lib/containerd`,
/// `node-1 /etc/containerd/config.toml`, `kubectl describe pod web`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(pub String);

impl Origin {
    /// The origin of a file on a node.
    pub fn file(node: &str, path: &str) -> Self {
        Self(format!("{node} {path}"))
    }

    /// The origin of a command's output on a node.
    pub fn command(node: &str, command: &str) -> Self {
        Self(format!("{node}: {command}"))
    }

    fn parts(&self) -> (Option<&str>, &str) {
        let text = self.0.as_str();
        if let Some((node, rest)) = text.split_once(": ")
            && !node.is_empty()
            && !node.contains([' ', '/', '='])
        {
            return (Some(node), rest);
        }
        match text.split_once(' ') {
            Some((node, rest)) if rest.starts_with('/') || rest.starts_with("journalctl") => (Some(node), rest),
            _ => (None, text),
        }
    }

    /// The node, if one is named.
    pub fn node(&self) -> Option<&str> {
        self.parts().0
    }

    /// The command or path, without the node.
    pub fn source(&self) -> &str {
        self.parts().1
    }

    /// The path, if the item is a file's content.
    pub fn path(&self) -> Option<&str> {
        let source = self.source();
        let is_path = !source.contains(' ') && source.contains(['/', '.']);
        is_path.then_some(source)
    }
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ItemKind,
    /// Where it comes from.
    pub origin: Origin,
    /// The text itself.
    pub text: String,
}

/// All that is known about a trouble, or about a whole cluster.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Kubernetes' minor version that manifests are checked against, such as 37; the newest known one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_minor: Option<u32>,
    #[serde(rename = "evidence")]
    items: Vec<Item>,
    #[serde(skip)]
    read: OnceLock<Read>,
}

/// A bundle that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("this is no evidence bundle: {0}; a bundle is written by `shipmate doctor --save FILE`")]
pub struct NoBundle(serde_json::Error);

impl Evidence {
    /// Evidence of these items.
    pub fn new(items: Vec<Item>) -> Self {
        Self { items, ..Self::default() }
    }

    /// The same, for manifests that are to fit Kubernetes 1.`minor`.
    #[must_use]
    pub fn for_minor(mut self, minor: u32) -> Self {
        self.target_minor = Some(minor);
        self
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// When it is not JSON of a bundle's form.
    pub fn from_json(bundle: &str) -> Result<Self, NoBundle> {
        serde_json::from_str(bundle).map_err(NoBundle)
    }

    /// The bundle's text.
    ///
    /// # Panics
    /// Never: texts always have a JSON form.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and enums have a JSON form")
    }

    /// All items, for who wants to keep them.
    pub fn into_items(self) -> Vec<Item> {
        self.items
    }

    /// All items.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Kubernetes' minor version that manifests are to fit.
    pub fn target_minor(&self) -> Option<u32> {
        self.target_minor
    }

    /// Items of one kind, each with its number.
    pub fn of(&self, kind: ItemKind) -> impl Iterator<Item = (usize, &Item)> {
        self.items.iter().enumerate().filter(move |(_, item)| item.kind == kind)
    }

    /// Items whose command or path has this word in it, such as `findmnt`; of one node, where one is named.
    ///
    /// An item without a node fits every node.
    pub fn asked<'a>(&'a self, word: &'a str, node: Option<&'a str>) -> impl Iterator<Item = (usize, &'a Item)> {
        self.items.iter().enumerate().filter(move |(_, item)| {
            let same_node = match (node, item.origin.node()) {
                (Some(wanted), Some(found)) => wanted == found,
                _ => true,
            };
            item.kind != ItemKind::Unavailable && same_node && item.origin.source().contains(word)
        })
    }

    /// What the texts say, read once.
    pub fn read(&self) -> &Read {
        self.read.get_or_init(|| Read::of(&self.items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_name_node_and_source() {
        let parts = |text: &str| {
            let origin = Origin(text.to_owned());
            (origin.node().map(str::to_owned), origin.source().to_owned(), origin.path().map(str::to_owned))
        };
        let owned = |node: Option<&str>, source: &str, path: Option<&str>| {
            (node.map(str::to_owned), source.to_owned(), path.map(str::to_owned))
        };
        let config = "/etc/containerd/config.toml";
        assert_eq!(parts("n7: kubeadm init"), owned(Some("n7"), "kubeadm init", None));
        assert_eq!(parts("w1 /etc/containerd/config.toml"), owned(Some("w1"), config, Some(config)));
        assert_eq!(parts("w1 journalctl -u kubelet"), owned(Some("w1"), "journalctl -u kubelet", None));
        assert_eq!(parts("kubectl get nodes"), owned(None, "kubectl get nodes", None));
        assert_eq!(parts("deploy.yaml"), owned(None, "deploy.yaml", Some("deploy.yaml")));
        assert_eq!(parts("~/.kube/config"), owned(None, "~/.kube/config", Some("~/.kube/config")));
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written() {
        let item = Item { kind: ItemKind::NodeFacts, origin: Origin::command("n", "df -h"), text: "…\n".to_owned() };
        let bundle = Evidence::new(vec![item.clone()]).for_minor(31).to_json();
        let read = Evidence::from_json(&bundle).unwrap();
        assert_eq!((read.items(), read.target_minor()), ([item].as_slice(), Some(31)));
        assert!(Evidence::from_json("{}").is_err());
    }
}
