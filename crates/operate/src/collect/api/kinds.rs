//! Which kinds are collected, and where they are listed.

use serde_json::Value;

use super::prune;

/// A kind that is collected.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    /// API group; empty for the core.
    pub(super) group: &'static str,
    /// Its versions, best first.
    pub(super) versions: &'static [&'static str],
    /// Its plural name in the path.
    pub(super) plural: &'static str,
    /// Its name.
    pub(super) kind: &'static str,
    /// Whether its objects have a namespace.
    pub(super) namespaced: bool,
    /// Whether it says something about a single pod.
    pub(super) of_pods: bool,
    /// A field selector for all requests.
    pub(super) selector: &'static str,
    /// Leaves out what no rule looks at and nobody else may see.
    pub(super) prune: fn(&mut Value),
}

impl Listed {
    /// The path of the list, in the version that is served.
    pub(super) fn path(&self, version: &str, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{version}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{version}/{}", self.plural),
        }
    }

    /// The command that asks the same.
    pub(super) fn command(&self, namespace: Option<&str>) -> String {
        let where_ = match namespace {
            _ if !self.namespaced => String::new(),
            Some(namespace) => format!(" -n {namespace}"),
            None => " -A".to_owned(),
        };
        format!("kubectl get {}{where_} -o json", self.plural)
    }

    /// `v1` or `apps/v1`.
    pub(super) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }
}

const fn core(plural: &'static str, kind: &'static str, of_pods: bool, prune: fn(&mut Value)) -> Listed {
    Listed { group: "", versions: &["v1"], plural, kind, namespaced: true, of_pods, selector: "", prune }
}

const fn grouped(group: &'static str, plural: &'static str, kind: &'static str) -> Listed {
    Listed { group, plural, kind, of_pods: false, ..core("", "", false, prune::plain) }
}

/// Everything that is collected.
pub(super) const ALL: &[Listed] = &[
    core("pods", "Pod", true, prune::pod),
    core("events", "Event", true, prune::event),
    Listed { namespaced: false, ..core("nodes", "Node", true, prune::node) },
    Listed { namespaced: false, ..core("namespaces", "Namespace", true, prune::plain) },
    core("services", "Service", false, prune::plain),
    core("configmaps", "ConfigMap", true, prune::config_map),
    // Releases of Helm are large, and are looked at for upgrades only.
    Listed { selector: "type!=helm.sh/release.v1", ..core("secrets", "Secret", true, prune::secret) },
    core("serviceaccounts", "ServiceAccount", true, prune::plain),
    core("persistentvolumeclaims", "PersistentVolumeClaim", true, prune::plain),
    Listed { namespaced: false, ..core("persistentvolumes", "PersistentVolume", true, prune::plain) },
    core("resourcequotas", "ResourceQuota", true, prune::plain),
    core("limitranges", "LimitRange", true, prune::plain),
    grouped("apps", "deployments", "Deployment"),
    Listed { prune: prune::replica_set, ..grouped("apps", "replicasets", "ReplicaSet") },
    grouped("apps", "statefulsets", "StatefulSet"),
    grouped("apps", "daemonsets", "DaemonSet"),
    grouped("batch", "jobs", "Job"),
    Listed { versions: &["v1", "v1beta1"], ..grouped("batch", "cronjobs", "CronJob") },
    Listed { versions: &["v1", "v1beta1"], ..grouped("discovery.k8s.io", "endpointslices", "EndpointSlice") },
    Listed {
        versions: &["v1", "v1beta1"],
        namespaced: false,
        of_pods: true,
        ..grouped("storage.k8s.io", "storageclasses", "StorageClass")
    },
    Listed { versions: &["v1", "v1beta1"], ..grouped("policy", "poddisruptionbudgets", "PodDisruptionBudget") },
    Listed {
        versions: &["v2", "v2beta2", "v1"],
        ..grouped("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
    },
    Listed { versions: &["v1", "v1beta1"], ..grouped("networking.k8s.io", "ingresses", "Ingress") },
    Listed {
        versions: &["v1", "v1beta1"],
        namespaced: false,
        ..grouped("networking.k8s.io", "ingressclasses", "IngressClass")
    },
    Listed {
        namespaced: false,
        prune: prune::definition,
        ..grouped("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition")
    },
    Listed { namespaced: false, ..grouped("apiregistration.k8s.io", "apiservices", "APIService") },
];
