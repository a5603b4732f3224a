//! What the kubeadm rules share: its complaints, its checks, bootstrap tokens.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::Place;
use crate::read::{Message, Speaker};

const GOOD_ENDS: [&str; 6] = [
    "has initialized successfully",
    "This node has joined the cluster",
    "SUCCESS! Your cluster",
    "was upgraded to",
    "successfully acquired lease",
    "Successfully registered node",
];

/// Whether kubeadm got to its end after this message.
pub fn is_over(evidence: &Evidence, message: &Message) -> bool {
    let text = &evidence.items()[message.item].text;
    text.lines().skip(message.line as usize).any(|line| GOOD_ENDS.iter().any(|end| line.contains(end)))
}

/// What kubeadm said, or somebody pasted of it, that has these words in it and was not the end of a good run.
pub fn said<'a>(evidence: &'a Evidence, words: &'a [&'a str]) -> impl Iterator<Item = &'a Message> {
    evidence.read().messages.iter().filter(move |message| {
        matches!(message.speaker, Speaker::Kubeadm | Speaker::Other)
            && words.iter().all(|word| message.text.contains(word))
            && !is_over(evidence, message)
    })
}

/// Preflight checks that failed: name, words, message.
pub fn failed(evidence: &Evidence) -> impl Iterator<Item = (&str, &str, &Message)> {
    said(evidence, &["[ERROR "]).flat_map(|message| {
        message.text.split("[ERROR ").skip(1).filter_map(move |part| {
            let (name, words) = part.split_once("]:")?;
            Some((name, words.lines().next().unwrap_or_default().trim(), message))
        })
    })
}

/// A place on the machine where kubeadm ran.
pub fn machine(message: &Message, what: impl Into<String>) -> Place {
    Place::Machine { node: message.node.clone(), what: what.into() }
}

/// What `kubeadm token list` says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Nobody listed the tokens.
    Unknown,
    /// It is not in the list, or has run out.
    Gone,
    /// It is in the list, but not for signing.
    NotForSigning,
    /// It is in the list and good.
    Good,
}

/// What is known of the token with this id; and the item that tells.
pub fn listed(evidence: &Evidence, id: &str) -> (Listed, Option<usize>) {
    let mut answer = (Listed::Unknown, None);
    for (number, item) in evidence.items().iter().enumerate() {
        let asked = item.origin.source().contains("token list");
        let text = &item.text;
        let head = text.lines().any(|line| line.starts_with("TOKEN") && line.contains("TTL"));
        if item.kind == ItemKind::Unavailable || !(asked || head) {
            continue;
        }
        answer = (Listed::Gone, Some(number));
        let Some(row) = text.lines().find(|line| line.split('.').next() == Some(id)) else { continue };
        let listed =
            if row.contains("<invalid>") || row.split_whitespace().nth(1).is_some_and(|ttl| ttl.starts_with('-')) {
                Listed::Gone
            } else if row.contains("authentication") && !row.contains("signing") {
                Listed::NotForSigning
            } else {
                Listed::Good
            };
        return (listed, Some(number));
    }
    answer
}
