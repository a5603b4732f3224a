//! What the kubeconfig rules share: what clients said, and the files that they read.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::Place;
use crate::read::toml::Spanned;
use crate::read::{Kubeconfig, Message, Speaker, same_node, table};

/// What `kubectl`, Helm and others that use a kubeconfig said, with these words in it. Nothing of registries, webhooks
/// and kubelets, whose troubles sound alike.
pub fn said<'a>(evidence: &'a Evidence, words: &'a [&'a str]) -> impl Iterator<Item = &'a Message> {
    const OTHERS: [&str; 8] = ["webhook", "/v2/", ":10250", "pull", "registry", "/token?", "the pod", "containerLogs"];
    evidence.read().messages.iter().filter(move |message| {
        let kind = evidence.items()[message.item].kind;
        matches!(message.speaker, Speaker::Kubectl | Speaker::Helm | Speaker::Other)
            && matches!(kind, ItemKind::KubectlOutput | ItemKind::Text | ItemKind::NodeFacts)
            && !message.over
            && words.iter().all(|word| message.text.contains(word))
            && !OTHERS.iter().any(|word| message.text.contains(word))
    })
}

/// What a client says that found no server in its configuration.
pub fn at_localhost(evidence: &Evidence) -> impl Iterator<Item = &Message> {
    const WORDS: [&str; 4] = ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "no configuration has been provided"];
    said(evidence, &[]).filter(|message| {
        let text = &message.text;
        WORDS.iter().any(|word| text.contains(word)) && (text.contains("refused") || text.contains("configuration"))
    })
}

/// The context that a command names with `--context`.
pub fn asked_context(evidence: &Evidence) -> Option<&str> {
    evidence.of(ItemKind::KubectlOutput).find_map(|(_, item)| {
        let (_, rest) = item.origin.0.split_once("-context")?;
        rest.trim_start_matches(['=', ' ', '"', '\''])
            .split([' ', '"', '\'', ';'])
            .next()
            .filter(|name| !name.is_empty())
    })
}

/// Kubeconfigs of one machine: a client merges them.
pub fn beside<'a>(evidence: &'a Evidence, config: &'a Kubeconfig) -> impl Iterator<Item = &'a Kubeconfig> {
    evidence.read().kubeconfigs.iter().filter(|other| same_node(&other.node, &config.node))
}

/// Whether all files of a machine were read to their ends, so that what is not in them does not exist.
pub fn complete(evidence: &Evidence, config: &Kubeconfig) -> bool {
    beside(evidence, config).all(|other| other.refused.is_none())
}

/// A context as a file or `kubectl config get-contexts` tells it.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// Where.
    pub place: Place,
    /// Its line.
    pub quote: Option<(usize, u32)>,
    /// Name.
    pub name: &'a str,
    /// Its cluster.
    pub cluster: &'a str,
    /// Whether it is the one in use.
    pub current: bool,
    /// The name of the cluster where it is written, if that is a file's text.
    pub written: Option<&'a Spanned<String>>,
    /// The item.
    pub item: usize,
}

/// Contexts whose cluster is nowhere, and the clusters that there are.
pub fn lost_contexts(evidence: &Evidence) -> (Vec<Told<'_>>, Vec<&str>) {
    let read = evidence.read();
    let (mut lost, mut known) = (Vec::new(), Vec::new());
    for config in read.kubeconfigs.iter().filter(|config| complete(evidence, config)) {
        known.extend(config.clusters.iter().map(|cluster| cluster.name.value.as_str()));
        for context in &config.contexts {
            let Some(cluster) = &context.cluster else { continue };
            if beside(evidence, config).any(|other| other.cluster(&cluster.value).is_some()) {
                continue;
            }
            let current = config.current.as_ref().is_some_and(|current| current.value == context.name.value);
            lost.push(Told {
                place: Place::Text { item: config.item, span: cluster.span.clone() },
                quote: None,
                name: &context.name.value,
                cluster: &cluster.value,
                current,
                written: Some(cluster),
                item: config.item,
            });
        }
    }
    let clusters = table_of_clusters(evidence);
    if !clusters.is_empty() {
        for told in table_of_contexts(evidence) {
            if !told.cluster.is_empty() && !clusters.contains(&told.cluster) {
                lost.push(told);
            }
        }
        known.extend(clusters);
    }
    (lost, known)
}

/// `kubectl config get-contexts`.
pub fn table_of_contexts(evidence: &Evidence) -> Vec<Told<'_>> {
    let items = evidence.items().iter().enumerate().filter(|(_, item)| item.kind != ItemKind::Unavailable);
    let rows = items.flat_map(|(number, item)| {
        table::columns(&item.text, "CURRENT").into_iter().map(move |row| Told {
            place: Place::Machine { node: String::new(), what: format!("kubeconfig context {}", row.get("NAME")) },
            quote: Some((number, row.line)),
            name: row.get("NAME"),
            cluster: row.get("CLUSTER"),
            current: row.get("CURRENT") == "*",
            written: None,
            item: number,
        })
    });
    rows.collect()
}

/// `kubectl config get-clusters`.
fn table_of_clusters(evidence: &Evidence) -> Vec<&str> {
    let items = evidence.items().iter().filter(|item| item.origin.source().contains("get-clusters"));
    let lines = items.flat_map(|item| item.text.lines().skip_while(|line| line.trim() != "NAME").skip(1));
    lines.map(str::trim).take_while(|line| !line.is_empty()).collect()
}
