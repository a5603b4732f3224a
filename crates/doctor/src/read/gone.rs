//! What journals say about pods and images that nobody waits for any more.
//!
//! A journal tells of the past, a list of all pods of the present. Where such a list is in the evidence as objects,
//! journals are judged by it: a pull that failed for a pod which is gone, or runs by now, is over. So are a gone pod's
//! events.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::messages::{Message, Speaker};
use super::pods::Pod;
use super::pulls::quoted_image;
use super::reference::Reference;
use crate::evidence::{Item, ItemKind};

/// containerd's way to name the pod of a sandbox.
static SANDBOX: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"PodSandboxMetadata\{Name:([^,}]+),Uid:[^,}]*,Namespace:([^,}]+)").ok());

/// Marks what is over.
pub(super) fn settle(messages: &mut [Message], items: &[Item], pods: &[Pod]) {
    let lists: HashSet<usize> =
        items.iter().enumerate().filter(|(_, item)| is_list(item)).map(|(number, _)| number).collect();
    if lists.is_empty() {
        return;
    }
    let listed: Vec<&Pod> = pods.iter().filter(|pod| lists.contains(&pod.item)).collect();
    let there: HashSet<(&str, &str)> = listed.iter().map(|pod| (pod.namespace.as_str(), pod.name.as_str())).collect();
    let of_pods = |message: &&mut Message| message.speaker == Speaker::Event && !message.pod.1.is_empty();
    for message in messages.iter_mut().filter(of_pods) {
        message.over |= !there.contains(&(message.pod.0.as_str(), message.pod.1.as_str()));
    }
    let waiting: Vec<&Pod> =
        listed.into_iter().filter(|pod| pod.ready != Some(true) && pod.phase != "Succeeded").collect();
    let names: HashSet<(&str, &str)> = waiting.iter().map(|pod| (pod.namespace.as_str(), pod.name.as_str())).collect();
    let images: HashSet<String> = waiting
        .iter()
        .flat_map(|pod| &pod.containers)
        .filter(|container| !container.ready)
        .filter_map(|container| whole(&container.image))
        .collect();
    for message in messages.iter_mut().filter(|message| is_journal(items, message) && message.is_failure()) {
        if let Some((namespace, name)) = pod_of(message) {
            message.over = !names.contains(&(namespace.as_str(), name.as_str()));
        } else if let Some(image) = quoted_image(&message.text) {
            // An image that can't be read as a name can't be found either: it stays a failure.
            message.over = whole(image).is_some_and(|image| !images.contains(&image));
        }
    }
}

/// The name as containerd writes it: with its registry, and with the tag that it has when none is written.
fn whole(image: &str) -> Option<String> {
    let Reference { registry, repository, tag, digest, .. } = Reference::read(image)?;
    let tag = if tag.is_empty() && digest.is_empty() { "latest" } else { &tag };
    Some(format!("{registry}/{repository}:{tag}@{digest}"))
}

/// Whether an item lists pods as the API has them.
fn is_list(item: &Item) -> bool {
    item.kind == ItemKind::Objects && item.text.starts_with("{\"kind\":\"PodList\"")
}

fn is_journal(items: &[Item], message: &Message) -> bool {
    let kind = items.get(message.item).map(|item| item.kind);
    matches!(kind, Some(ItemKind::ContainerdLog | ItemKind::KubeletLog))
}

fn pod_of(message: &Message) -> Option<(String, String)> {
    if !message.pod.1.is_empty() {
        return Some(message.pod.clone());
    }
    let found = SANDBOX.as_ref()?.captures(&message.text)?;
    Some((found[2].to_owned(), found[1].to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::evidence::{Evidence, Item, ItemKind, Origin};

    fn failures(pods: &str) -> Vec<String> {
        let log = "time=\"2026-05-01T10:00:00Z\" level=error msg=\"PullImage \\\"a.org/b:1\\\" failed\" error=\"refused\"\n\
                   time=\"2026-05-01T10:00:01Z\" level=error msg=\"RunPodSandbox for &PodSandboxMetadata{Name:web,Uid:u,Namespace:shop,Attempt:0,} failed, error\" error=\"no network\"\n\
                   time=\"2026-05-01T10:00:02Z\" level=error msg=\"failed to load cni\" error=\"x\"\n";
        let item =
            |kind, origin: &str, text: &str| Item { kind, origin: Origin(origin.to_owned()), text: text.to_owned() };
        let evidence = Evidence::new(vec![
            item(ItemKind::ContainerdLog, "n1 journalctl -u containerd", log),
            item(ItemKind::Objects, "kubectl get pods -A -o json", pods),
        ]);
        let journal = evidence.read().failures().filter(|message| message.item == 0);
        journal.map(|message| message.text.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn only_what_somebody_waits_for_still_counts() {
        let pod = |ready: &str| {
            format!(
                "{{\"kind\":\"PodList\",\"items\":[{{\"metadata\":{{\"name\":\"web\",\"namespace\":\"shop\"}},\"spec\":{{\"containers\":[{{\"name\":\"c\",\"image\":\"a.org/b:1\"}}]}},\
                 \"status\":{{\"phase\":\"Pending\",\"conditions\":[{{\"type\":\"Ready\",\"status\":\"{ready}\"}}],\"containerStatuses\":[{{\"name\":\"c\",\"ready\":false}}]}}}}]}}"
            )
        };
        let all = ["PullImage \"a.org/b:1\"", "RunPodSandbox for", "failed to"];
        assert_eq!(failures(&pod("False")), all);
        assert_eq!(failures(&pod("True")), all[2..]);
        assert_eq!(failures("{\"kind\":\"PodList\",\"items\":[]}"), all[2..], "the pod is gone");
        assert_eq!(failures("{\"kind\":\"NodeList\",\"items\":[]}"), all, "nobody knows");
    }
}
