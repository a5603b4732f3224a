//! A node as evidence: what its programs, files, journals and its containerd say.
//!
//! Questions go in a few rounds, each one script, so that a node far away costs a few round trips and not fifty. Origins
//! are written as people write them, and outputs are kept as they are.

mod containerd;
mod preflight;
mod runtime;
mod script;
mod sources;

use std::sync::Arc;

use doctor::{Evidence, Item, ItemKind, Origin};
use futures::StreamExt as _;

use crate::access::{Access, AccessError};
pub(crate) use containerd::CONFIGS;
use containerd::Layout;
use script::ask;
use sources::Question;

/// Nodes that are looked at at the same time.
const AT_ONCE: usize = 16;

/// Everything that these nodes say, in their order.
pub async fn collect_all(nodes: &[Arc<dyn Access>]) -> Vec<Item> {
    let nodes: Vec<_> = nodes.iter().map(|node| collect(node.as_ref())).collect();
    let items: Vec<Vec<Item>> = futures::stream::iter(nodes).buffered(AT_ONCE).collect().await;
    items.into_iter().flatten().collect()
}

/// Everything that a node says. A node that can't be reached gives one item that tells so.
pub async fn collect(access: &dyn Access) -> Vec<Item> {
    let mut first = sources::machine();
    first.extend(CONFIGS.map(|path| Question::file(ItemKind::ContainerdConfig, path)));
    let mut items = match answered(access, &first).await {
        Ok(items) => items,
        Err(error) => return vec![unreached(access.node(), &error)],
    };
    let layout = Layout::of(&Evidence::new(items.clone()));
    let journals = [
        sources::journal("containerd", ItemKind::ContainerdLog, access.log("containerd")),
        sources::journal("kubelet", ItemKind::KubeletLog, access.log("kubelet")),
    ];
    let (files, spoken, logs) = tokio::join!(
        containerd::files(access, layout.clone()),
        runtime::collect(access, &layout),
        answered(access, &journals)
    );
    items.extend(files);
    items.extend(spoken);
    items.extend(logs.unwrap_or_else(|error| vec![unreached(access.node(), &error)]));
    items
}

/// What `kubeadm init` and `join` look at besides.
pub async fn preflight(access: &dyn Access) -> Vec<Item> {
    answered(access, &preflight::questions()).await.unwrap_or_else(|error| vec![unreached(access.node(), &error)])
}

/// Asks questions in one round; what was answered.
async fn answered(access: &dyn Access, questions: &[Question]) -> Result<Vec<Item>, AccessError> {
    let commands: Vec<String> = questions.iter().map(|question| question.command.clone()).collect();
    let answers = ask(access, &commands).await?;
    let items = questions.iter().zip(answers).filter_map(|(question, answer)| question.item(access.node(), answer));
    Ok(items.collect())
}

/// What a failed round becomes.
fn unreached(node: &str, error: &AccessError) -> Item {
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        why = format!("{why}: {source}");
    }
    Item { kind: ItemKind::Unavailable, origin: Origin::command(node, "its programs, files and journals"), text: why }
}
