//! What the texts of the evidence say: messages, pods, containerd's configuration.
//!
//! Readers take any bytes: what they don't understand they leave out. Each keeps the number of the item and the place
//! in it, so that a rule can point there.

pub mod answers;
pub mod conntrack;
pub mod containerd;
mod events;
pub mod existing;
pub mod facts;
mod gone;
pub mod kubeconfig;
pub mod listing;
pub mod log;
pub mod manifest;
pub mod messages;
pub mod network;
pub mod nodes;
pub mod objects;
pub mod plugins;
pub mod pods;
pub mod postgres;
pub mod pulls;
pub mod reference;
pub mod registry;
pub mod secrets;
pub mod table;
pub mod times;
pub mod toml;
pub mod versions;
pub mod written;
pub mod yaml;

pub use answers::Answer;
pub use containerd::{ContainerdConfig, HostsToml};
pub use facts::{Fact, Facts};
pub use kubeconfig::Kubeconfig;
pub use messages::{Message, Speaker};
pub use plugins::{PluginStatus, Plugins};
pub use pods::Pod;
pub use pulls::{Attempt, Pull};
pub use reference::Reference;

use std::collections::HashMap;

use crate::evidence::{Item, ItemKind};

/// Everything that was read from an evidence.
#[derive(Debug, Default)]
pub struct Read {
    /// Whatever any program said, in the order of the items.
    pub messages: Vec<Message>,
    /// Pods, of whatever source.
    pub pods: Vec<Pod>,
    /// containerd's configuration files.
    pub configs: Vec<ContainerdConfig>,
    /// `hosts.toml` files.
    pub hosts: Vec<HostsToml>,
    /// What PostgreSQL told.
    pub postgres: postgres::Postgres,
    /// Connections of nodes' tables.
    pub flows: Vec<conntrack::Flow>,
    /// Kubeconfigs.
    pub kubeconfigs: Vec<Kubeconfig>,
    /// Objects of the API.
    pub objects: Vec<objects::Found>,
    /// Nodes, as the API shows them.
    pub nodes: Vec<nodes::Node>,
    /// What nodes say of themselves.
    pub facts: Facts,
    /// Pulls that failed and are not over.
    pub pulls: Vec<Pull>,
    /// Hosts that were tried in vain before another one.
    pub attempts: Vec<Attempt>,
    /// Directories under `certs.d` that listings show.
    pub directories: Vec<registry::Directory>,
    /// Registry settings that containerd runs with.
    pub running: Vec<registry::Running>,
    /// Images as they are written in manifests and objects.
    pub images: Vec<written::Written>,
    /// Pull secrets.
    pub secrets: secrets::Secrets,
    /// containerd's plugins.
    pub plugins: Plugins,
    /// Objects that are known to exist.
    pub existing: Vec<existing::Existing>,
    /// Rows of pods.
    pub pod_rows: Vec<existing::PodRow>,
    /// Manifests.
    pub manifests: Vec<manifest::Manifest>,
    /// Versions of programs.
    pub versions: Vec<versions::Version>,
    /// Numbers of the messages about each pod.
    by_pod: HashMap<(String, String), Vec<usize>>,
}

/// Whether an item of facts is the whole of containerd's configuration.
fn is_config(item: &Item) -> bool {
    let source = item.origin.source();
    let source = source.strip_prefix("sudo ").unwrap_or(source);
    let whole = source.starts_with("cat ") || source.starts_with('/');
    (whole && source.ends_with("containerd/config.toml") && !source.contains([';', '|', '&']))
        || source == "containerd config dump"
}

/// Whether two names may mean the same node: they are equal, one is not told, or one is the other without its domain.
pub fn same_node(one: &str, other: &str) -> bool {
    let within = |short: &str, long: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
    one.is_empty() || other.is_empty() || one == other || within(one, other) || within(other, one)
}

/// Whether an item of facts is a `hosts.toml` that was printed.
fn is_hosts_toml(item: &Item) -> bool {
    let source = item.origin.source();
    let source = source.strip_prefix("sudo ").unwrap_or(source);
    source.starts_with("cat ") && source.ends_with("/hosts.toml") && !source.contains([';', '|', '&'])
}

impl Read {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut read = Self::default();
        for (number, item) in items.iter().enumerate() {
            read.objects.extend(objects::read(number, item));
            read.kubeconfigs.extend(Kubeconfig::read(number, item));
            match item.kind {
                ItemKind::ContainerdConfig => read.configs.push(ContainerdConfig::read(number, item)),
                ItemKind::Manifest => read.manifests.push(manifest::Manifest::read(number, item)),
                ItemKind::NodeFacts if is_config(item) => read.configs.push(ContainerdConfig::read(number, item)),
                ItemKind::NodeFacts if is_hosts_toml(item) => read.hosts.push(HostsToml::read(number, item)),
                ItemKind::HostsToml => read.hosts.push(HostsToml::read(number, item)),
                _ => {}
            }
        }
        read.pods = pods::read(items, &read.objects);
        read.pod_rows = existing::pod_rows(items);
        read.messages = messages::read(items, &read.objects, &read.pods);
        events::settle_by_rows(&mut read.messages, &read.pod_rows);
        pulls::settle(&mut read.messages, &read.pods);
        gone::settle(&mut read.messages, items, &read.pods);
        (read.pulls, read.attempts) = pulls::read(items, &read.messages, &read.pods);
        for message in &read.messages {
            read.by_pod.entry(message.pod.clone()).or_default().push(message.number);
        }
        read.images = written::read(items, &read.objects, &read.pods);
        read.nodes = nodes::read(items, &read.objects);
        read.postgres = postgres::Postgres::of(items);
        read.flows = conntrack::read(items);
        read.existing = existing::read(items, &read.objects);
        read.secrets = secrets::read(items, &read);
        read.facts = Facts::of(items);
        read.directories = registry::directories(items, &read);
        read.running = registry::running(items);
        read.plugins = Plugins::of(items);
        read.versions = versions::read(items, &read.objects);
        read
    }

    /// Messages that tell of a failure which is not over.
    pub fn failures(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.is_failure())
    }

    /// The failed pull that a message tells of.
    pub fn pull_of(&self, message: usize) -> Option<&Pull> {
        let at = self.pulls.binary_search_by_key(&message, |pull| pull.message).ok()?;
        self.pulls.get(at)
    }

    /// Failures that have all these words in them.
    pub fn failing<'a>(&'a self, words: &'a [&'a str]) -> impl Iterator<Item = &'a Message> {
        self.failures().filter(move |message| words.iter().all(|word| message.text.contains(word)))
    }

    /// Messages about a pod. A pod without a name is nobody's.
    pub fn about<'a>(&'a self, pod: &Pod) -> impl Iterator<Item = &'a Message> + use<'a> {
        let numbers = self.by_pod.get(&(pod.namespace.clone(), pod.name.clone()));
        let numbers = numbers.filter(|_| !pod.name.is_empty());
        numbers.into_iter().flatten().filter_map(|number| self.messages.get(*number))
    }

    /// The newest statement of a program's version on a node that the name fits.
    pub fn version<'a>(&'a self, node: &'a str, program: &'a str) -> Option<&'a versions::Version> {
        let mut all = self.versions.iter().filter(|one| one.program == program && same_node(&one.node, node));
        all.next_back()
    }

    /// Whether a node is ready, if told.
    pub fn ready(&self, node: &str) -> Option<bool> {
        let known = self.nodes.iter().filter(|one| same_node(&one.name, node));
        known.map(|one| one.ready).next()
    }

    /// The pod of that name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.name == name && (pod.namespace == namespace || namespace.is_empty()))
    }
}
