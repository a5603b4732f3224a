//! Claims for volumes, their classes and those who make the volumes.

use super::subjects;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::Place;
use crate::read::existing::{Existing, PodRow};
use crate::read::{Message, Read};

/// The claim that a message is about, as far as told.
pub(super) struct Claim {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Claim {
    /// The claim of an item: described there, or named by its command.
    pub(super) fn of(evidence: &Evidence, message: &Message) -> Self {
        let read = evidence.read();
        let mut described =
            read.existing.iter().filter(|one| one.kind == "PersistentVolumeClaim" && one.item == message.item);
        if let Some(claim) = described.next() {
            return Self { namespace: claim.namespace.clone().unwrap_or_default(), name: claim.name.clone() };
        }
        let Some(item) = evidence.items().get(message.item) else {
            return Self { namespace: String::new(), name: String::new() };
        };
        let mut words = item.origin.source().split_whitespace().skip_while(|word| !word.starts_with("pvc"));
        let name = words.nth(1).filter(|word| !word.starts_with(['-', '|', '(']));
        Self {
            namespace: crate::read::existing::namespace_of(&item.origin).unwrap_or_default(),
            name: name.unwrap_or_default().to_owned(),
        }
    }

    pub(super) fn shown(&self) -> String {
        subjects::named(&self.namespace, &self.name, "of the pod")
    }

    pub(super) fn place(&self, field: &str) -> Place {
        subjects::object("PersistentVolumeClaim", &self.namespace, &self.name, field)
    }
}

/// Pods that wait for a claim.
pub(super) fn waiting_pods(read: &Read) -> impl Iterator<Item = &Message> {
    read.failing(&["unbound", "PersistentVolumeClaims"])
}

/// Whether a message about a claim tells the cause.
pub(super) fn decides(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower.contains("no storage class is set")
        || lower.contains("waiting for a volume to be created")
        || lower.contains("storageclass") && lower.contains("not found")
        || lower.contains("failed to provision volume")
}

/// Whether it is a claim without a volume.
pub(super) fn is_pending(one: &Existing) -> bool {
    one.kind == "PersistentVolumeClaim" && one.status == "Pending"
}

/// Whether a claim's class says nothing.
pub(super) fn no_class(class: &str) -> bool {
    matches!(class, "" | "<unset>" | "<none>")
}

/// The storage classes, if somebody listed them.
pub(super) fn classes(evidence: &Evidence) -> Option<Vec<&Existing>> {
    let all: Vec<&Existing> = evidence.read().existing.iter().filter(|one| one.kind == "StorageClass").collect();
    let is_list = |item: &crate::evidence::Item| {
        let source = item.origin.source();
        item.kind == ItemKind::KubectlOutput
            && source.contains("get ")
            && (source.contains(" sc") || source.contains("storageclass"))
            && (item.text.contains("No resources found") || item.text.trim().is_empty())
    };
    let listed = !all.is_empty() || evidence.items().iter().any(is_list);
    listed.then_some(all)
}

/// A pod of a provisioner that does not run.
pub(super) fn broken_provisioner<'a>(read: &'a Read, provisioner: &str) -> Option<&'a PodRow> {
    let words: Vec<&str> = provisioner.split(['.', '/', '-']).filter(|word| word.len() > 2).collect();
    let about = |row: &&PodRow| {
        let name = row.name.as_str();
        name.contains("csi") || name.contains("provision") || words.iter().any(|word| name.contains(word))
    };
    read.pod_rows.iter().filter(|row| !row.is_well()).find(about)
}
