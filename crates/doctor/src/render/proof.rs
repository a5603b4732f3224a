//! What a finding stands on, as sentences: lines of texts, and what events and statuses say.

use std::collections::BTreeSet;

use crate::evidence::{Evidence, ItemKind};
use crate::finding::Finding;
use crate::read::{Message, Speaker};

/// A sentence of the evidence.
pub(super) struct Proof {
    /// Number of the item that it stands in.
    pub(super) item: usize,
    /// Where it comes from, for people.
    pub(super) origin: String,
    /// Its line; `None` for what an object of the API says.
    pub(super) line: Option<u32>,
    /// The sentence.
    pub(super) text: String,
}

/// The quotes of a finding. An item of objects is one long line of JSON, so there the messages are told that it explains.
pub(super) fn proofs(evidence: &Evidence, finding: &Finding) -> Vec<Proof> {
    let mut told = BTreeSet::new();
    let mut proofs = Vec::new();
    for quote in &finding.quotes {
        let Some(item) = evidence.items().get(quote.item) else { continue };
        if matches!(item.kind, ItemKind::Objects | ItemKind::Pods | ItemKind::PodStatus) {
            if told.insert(quote.item) {
                proofs.extend(said(evidence, finding, quote.item));
            }
            continue;
        }
        let line = (quote.line as usize).checked_sub(1).and_then(|number| item.text.lines().nth(number));
        proofs.extend(line.map(|line| Proof {
            item: quote.item,
            origin: item.origin.0.clone(),
            line: Some(quote.line),
            text: line.trim().to_owned(),
        }));
    }
    proofs
}

/// What objects of an item say of this trouble; the same words of many pods once.
fn said(evidence: &Evidence, finding: &Finding, item: usize) -> Vec<Proof> {
    let mut words = BTreeSet::new();
    let messages = finding.explains.iter().filter_map(|number| evidence.read().messages.get(*number));
    let from_here = messages.filter(|message| message.item == item);
    from_here
        .filter(|message| words.insert(message.text.as_str()))
        .map(|message| Proof { item, origin: source(message), line: None, text: message.text.clone() })
        .collect()
}

fn source(message: &Message) -> String {
    let of = match (&message.pod.0, &message.pod.1, &message.node) {
        (_, name, node) if name.is_empty() && !node.is_empty() => format!(" of node {node}"),
        (_, name, _) if name.is_empty() => String::new(),
        (namespace, name, _) => format!(" of pod {namespace}/{name}"),
    };
    let kind = if message.speaker == Speaker::Event { "event" } else { "status" };
    if message.reason.is_empty() { format!("{kind}{of}") } else { format!("{kind} {}{of}", message.reason) }
}
