//! What the texts of the evidence say: messages, pods, containerd's configuration.
//!
//! Readers take any bytes: what they don't understand they leave out. Each keeps the number of the item and the place
//! in it, so that a rule can point there.

pub mod containerd;
pub mod log;
pub mod messages;
pub mod objects;
pub mod pods;
pub mod table;
pub mod toml;

pub use containerd::{ContainerdConfig, HostsToml};
pub use messages::{Message, Speaker};
pub use pods::Pod;

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
    /// Objects of the API.
    pub objects: Vec<objects::Found>,
}

impl Read {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut read = Self::default();
        for (number, item) in items.iter().enumerate() {
            read.objects.extend(objects::read(number, item));
            match item.kind {
                ItemKind::ContainerdConfig => read.configs.push(ContainerdConfig::read(number, item)),
                ItemKind::HostsToml => read.hosts.push(HostsToml::read(number, item)),
                _ => {}
            }
        }
        read.pods = pods::read(items, &read.objects);
        read.messages = messages::read(items, &read.objects, &read.pods);
        read
    }

    /// Messages that tell of a failure which is not over.
    pub fn failures(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.is_failure())
    }

    /// Failures that have all these words in them.
    pub fn failing<'a>(&'a self, words: &'a [&'a str]) -> impl Iterator<Item = &'a Message> {
        self.failures().filter(move |message| words.iter().all(|word| message.text.contains(word)))
    }

    /// The pod of that name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.name == name && (pod.namespace == namespace || namespace.is_empty()))
    }
}
