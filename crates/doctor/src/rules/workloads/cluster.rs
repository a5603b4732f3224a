//! Objects of a live cluster, found by kind and by label without looking at all of them each time.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::read::Read;
use crate::read::objects::Found;

/// Labels, or a selector of labels.
pub(super) type Labels<'a> = BTreeMap<&'a str, &'a str>;

/// The objects of an evidence.
pub(super) struct Cluster<'a> {
    read: &'a Read,
    by_namespace: HashMap<&'a str, Vec<&'a Found>>,
    by_label: HashMap<(&'a str, &'a str, &'a str), Vec<&'a Found>>,
    /// Whether there are pods at all: without them nothing can be said of selectors.
    pub(super) has_pods: bool,
}

impl<'a> Cluster<'a> {
    pub(super) fn of(read: &'a Read) -> Self {
        let mut by_namespace: HashMap<&str, Vec<&Found>> = HashMap::new();
        let mut by_label: HashMap<(&str, &str, &str), Vec<&Found>> = HashMap::new();
        for pod in read.objects.iter().filter(|found| found.kind() == "Pod") {
            by_namespace.entry(pod.namespace()).or_default().push(pod);
            for (key, value) in labels(&pod.object["metadata"]["labels"]) {
                by_label.entry((pod.namespace(), key, value)).or_default().push(pod);
            }
        }
        let has_pods = !by_namespace.is_empty();
        Self { read, by_namespace, by_label, has_pods }
    }

    /// Objects of a kind.
    pub(super) fn all(&self, kind: &'static str) -> impl Iterator<Item = &'a Found> + use<'a> {
        self.read.objects.iter().filter(move |found| found.kind() == kind)
    }

    /// Pods of a namespace.
    pub(super) fn pods(&self, namespace: &str) -> &[&'a Found] {
        self.by_namespace.get(namespace).map(Vec::as_slice).unwrap_or_default()
    }

    /// Pods that have one label of a selector; few, where labels are telling.
    pub(super) fn matching(&self, namespace: &str, selector: &Labels<'_>) -> impl Iterator<Item = &'a Found> + use<'a> {
        let lists = selector
            .iter()
            .map(|(key, value)| self.by_label.get(&(namespace, *key, *value)).cloned().unwrap_or_default());
        lists.min_by_key(Vec::len).unwrap_or_default().into_iter()
    }

    /// Whether a workload has a template that a selector fits.
    pub(super) fn is_template(&self, namespace: &str, selector: &Labels<'_>) -> bool {
        let kinds = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob", "Job"];
        let workloads = self.read.objects.iter().filter(|found| kinds.contains(&found.kind()));
        workloads.filter(|found| found.namespace() == namespace).any(|found| {
            let own = labels(&found.object["spec"]["template"]["metadata"]["labels"]);
            found.object["spec"]["replicas"] == 0 && selector.iter().all(|(key, value)| own.get(key) == Some(value))
        })
    }
}

/// The texts of a map.
pub(super) fn labels(map: &Value) -> Labels<'_> {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
}

/// Whether a pod has all labels of a selector.
pub(super) fn selects(selector: &Labels<'_>, pod: &Found) -> bool {
    let own = &pod.object["metadata"]["labels"];
    selector.iter().all(|(key, value)| own[*key].as_str() == Some(*value))
}
