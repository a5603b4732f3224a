//! Built-in API versions that Kubernetes no longer serves.

use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::Evidence;

/// A version of some kinds that is gone.
pub(in crate::rules) struct Removed {
    /// `extensions/v1beta1`.
    pub(super) from: &'static str,
    kinds: &'static [&'static str],
    /// First minor version without it.
    pub(in crate::rules) gone: u32,
    /// What takes its place; empty when nothing does.
    pub(in crate::rules) to: &'static str,
    /// Whether the same fields mean the same there.
    pub(super) same: bool,
}

const fn gone(from: &'static str, kinds: &'static [&'static str], gone: u32, to: &'static str, same: bool) -> Removed {
    Removed { from, kinds, gone, to, same }
}

const WORKLOADS: &[&str] = &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"];
const WEBHOOKS: &[&str] = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
const ROLES: &[&str] = &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
const REVIEWS: &[&str] =
    &["LocalSubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"];
const FLOWS: &[&str] = &["FlowSchema", "PriorityLevelConfiguration"];
const CLASSES: &[&str] = &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"];
const CLAIMS: &[&str] = &["ResourceClaim", "ResourceClaimTemplate", "DeviceClass", "ResourceSlice"];
const POLICIES: &[&str] = &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];

/// Every version that was removed, by the release without it.
const REMOVED: &[Removed] = &[
    gone("extensions/v1beta1", WORKLOADS, 16, "apps/v1", true),
    gone("apps/v1beta1", WORKLOADS, 16, "apps/v1", true),
    gone("apps/v1beta2", WORKLOADS, 16, "apps/v1", true),
    gone("apps/v1beta1", &["ControllerRevision"], 16, "apps/v1", true),
    gone("apps/v1beta2", &["ControllerRevision"], 16, "apps/v1", true),
    gone("extensions/v1beta1", &["NetworkPolicy"], 16, "networking.k8s.io/v1", true),
    gone("extensions/v1beta1", &["PodSecurityPolicy"], 16, "", false),
    gone("scheduling.k8s.io/v1alpha1", &["PriorityClass"], 17, "scheduling.k8s.io/v1", true),
    gone("settings.k8s.io/v1alpha1", &["PodPreset"], 20, "", false),
    gone("batch/v2alpha1", &["CronJob"], 21, "batch/v1", true),
    gone("admissionregistration.k8s.io/v1beta1", WEBHOOKS, 22, "admissionregistration.k8s.io/v1", false),
    gone("apiextensions.k8s.io/v1beta1", &["CustomResourceDefinition"], 22, "apiextensions.k8s.io/v1", false),
    gone("apiregistration.k8s.io/v1beta1", &["APIService"], 22, "apiregistration.k8s.io/v1", true),
    gone("authentication.k8s.io/v1beta1", &["TokenReview"], 22, "authentication.k8s.io/v1", true),
    gone("authorization.k8s.io/v1beta1", REVIEWS, 22, "authorization.k8s.io/v1", false),
    gone("certificates.k8s.io/v1beta1", &["CertificateSigningRequest"], 22, "certificates.k8s.io/v1", false),
    gone("coordination.k8s.io/v1beta1", &["Lease"], 22, "coordination.k8s.io/v1", true),
    gone("extensions/v1beta1", &["Ingress"], 22, "networking.k8s.io/v1", false),
    gone("networking.k8s.io/v1beta1", &["Ingress"], 22, "networking.k8s.io/v1", false),
    gone("networking.k8s.io/v1beta1", &["IngressClass"], 22, "networking.k8s.io/v1", true),
    gone("rbac.authorization.k8s.io/v1beta1", ROLES, 22, "rbac.authorization.k8s.io/v1", true),
    gone("rbac.authorization.k8s.io/v1alpha1", ROLES, 23, "rbac.authorization.k8s.io/v1", false),
    gone("scheduling.k8s.io/v1beta1", &["PriorityClass"], 22, "scheduling.k8s.io/v1", true),
    gone("storage.k8s.io/v1beta1", CLASSES, 22, "storage.k8s.io/v1", true),
    gone("batch/v1beta1", &["CronJob"], 25, "batch/v1", true),
    gone("discovery.k8s.io/v1beta1", &["EndpointSlice"], 25, "discovery.k8s.io/v1", false),
    gone("events.k8s.io/v1beta1", &["Event"], 25, "events.k8s.io/v1", false),
    gone("autoscaling/v2beta1", &["HorizontalPodAutoscaler"], 25, "autoscaling/v2", false),
    gone("policy/v1beta1", &["PodDisruptionBudget"], 25, "policy/v1", true),
    gone("policy/v1beta1", &["PodSecurityPolicy"], 25, "", false),
    gone("node.k8s.io/v1beta1", &["RuntimeClass"], 25, "node.k8s.io/v1", true),
    gone("autoscaling/v2beta2", &["HorizontalPodAutoscaler"], 26, "autoscaling/v2", true),
    gone("flowcontrol.apiserver.k8s.io/v1alpha1", FLOWS, 24, "flowcontrol.apiserver.k8s.io/v1", false),
    gone("flowcontrol.apiserver.k8s.io/v1beta1", FLOWS, 26, "flowcontrol.apiserver.k8s.io/v1", false),
    gone("storage.k8s.io/v1beta1", &["CSIStorageCapacity"], 27, "storage.k8s.io/v1", true),
    gone("flowcontrol.apiserver.k8s.io/v1beta2", FLOWS, 29, "flowcontrol.apiserver.k8s.io/v1", false),
    gone("networking.k8s.io/v1alpha1", &["ClusterCIDR"], 31, "", false),
    gone("resource.k8s.io/v1alpha2", CLAIMS, 31, "resource.k8s.io/v1", false),
    gone("flowcontrol.apiserver.k8s.io/v1beta3", FLOWS, 32, "flowcontrol.apiserver.k8s.io/v1", false),
    gone("admissionregistration.k8s.io/v1beta1", POLICIES, 34, "admissionregistration.k8s.io/v1", true),
];

/// What is known of a version of a kind that was removed.
pub(in crate::rules) fn find(api_version: &str, kind: &str) -> Option<&'static Removed> {
    let kind = kind.strip_suffix("List").unwrap_or(kind);
    REMOVED.iter().find(|one| one.from == api_version && one.kinds.contains(&kind))
}

/// Whether Kubernetes itself serves kinds of this group, or once did.
pub(super) fn is_built_in(group: &str) -> bool {
    kinds::schema::resources().iter().any(|resource| resource.group == group)
        || REMOVED.iter().any(|one| one.from.split('/').next() == Some(group))
}

/// Versions in which Kubernetes 1.37 serves a kind, as `apiVersion` has them.
pub(super) fn served(kind: &str) -> Vec<String> {
    let all = kinds::schema::resources().iter().filter(|resource| resource.kind == kind);
    all.map(|resource| match resource.group {
        "" => resource.version.to_owned(),
        group => format!("{group}/{}", resource.version),
    })
    .collect()
}

/// Whether a version of a built-in group looks like one that came before a stable one.
pub(super) fn is_early(api_version: &str) -> bool {
    let version = api_version.rsplit('/').next().unwrap_or_default();
    version.contains("alpha") || version.contains("beta")
}

static SERVER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"Server Version: (?:version\.Info\{[^}]*GitVersion:")?v1\.(\d+)"#).ok());
static ROW: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\s(?:Not)?Ready\S*\s.*\sv1\.(\d+)\.\d+").ok());

/// The minor version that manifests are judged by: as asked for, else the server's as far as told, else the newest.
pub(super) fn target(evidence: &Evidence) -> u32 {
    let told = |form: &LazyLock<Option<Regex>>| {
        let form = form.as_ref()?;
        let found = evidence.items().iter().filter_map(|item| form.captures(&item.text));
        found.filter_map(|found| found[1].parse().ok()).max()
    };
    evidence.target_minor().or_else(|| told(&SERVER)).or_else(|| told(&ROW)).unwrap_or(37)
}

static NO_MATCHES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:resource mapping not found for name: "(?P<name>[^"]*)" namespace: "(?P<ns>[^"]*)" from "(?P<file>[^"]*)": )?no matches for kind "(?P<kind>[^"]+)" in version "(?P<version>[^"]+)""#).ok()
});

/// A kind that the server does not know, as a message says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NoMatch {
    pub(super) kind: String,
    pub(super) version: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl NoMatch {
    /// The group; empty for core.
    pub(super) fn group(&self) -> &str {
        self.version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// All that a text says the server does not know.
pub(super) fn no_matches(text: &str) -> Vec<NoMatch> {
    let Some(form) = NO_MATCHES.as_ref() else { return Vec::new() };
    let part = |found: &regex::Captures<'_>, name: &str| {
        found.name(name).map(|part| part.as_str().to_owned()).unwrap_or_default()
    };
    let all = form.captures_iter(text).map(|found| NoMatch {
        kind: part(&found, "kind"),
        version: part(&found, "version"),
        namespace: part(&found, "ns"),
        name: part(&found, "name"),
    });
    all.collect()
}

/// Why the server does not know a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The version was removed, or has never been stable.
    Removed,
    /// The kind, or the group or version, is misspelt; what was meant: `apiVersion` and kind.
    Typo(String, String),
    /// The group is somebody else's.
    Foreign,
    /// It is no object of the API, but a file for a tool.
    Tool(&'static str),
}

/// Files of tools that look like objects.
const TOOLS: &[(&str, &str)] = &[
    ("kustomize.config.k8s.io", "kubectl apply -k"),
    ("kubeadm.k8s.io", "kubeadm --config"),
    ("kubelet.config.k8s.io", "kubelet --config"),
    ("kubeproxy.config.k8s.io", "kube-proxy --config"),
    ("kubescheduler.config.k8s.io", "kube-scheduler --config"),
    ("apiserver.config.k8s.io", "kube-apiserver"),
    ("audit.k8s.io", "kube-apiserver --audit-policy-file"),
    ("kind.x-k8s.io", "kind create cluster --config"),
    ("client.authentication.k8s.io", "a credential plugin"),
    ("skaffold", "skaffold"),
];

/// Why the server does not know a kind.
pub(super) fn reason(version: &str, kind: &str) -> Reason {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    if let Some((_, tool)) = TOOLS.iter().find(|(tool, _)| *tool == group) {
        return Reason::Tool(tool);
    }
    if find(version, kind).is_some() {
        return Reason::Removed;
    }
    let served_in = served(kind);
    let mut groups: Vec<&str> = kinds::schema::resources().iter().map(|resource| resource.group).collect();
    groups.dedup();
    if is_built_in(group) {
        let same_group = served_in.iter().find(|one| one.split_once('/').map_or("", |(group, _)| group) == group);
        if let Some(other) = same_group {
            let early = is_early(version) && other != version;
            return if early { Reason::Removed } else { Reason::Typo(other.clone(), kind.to_owned()) };
        }
        if let Some(other) = served_in.first() {
            return Reason::Typo(other.clone(), kind.to_owned());
        }
        let near = near_kind(group, kind);
        return near.map_or(Reason::Typo(version.to_owned(), String::new()), |near| {
            Reason::Typo(version.to_owned(), near.to_owned())
        });
    }
    // `app/v1` for `apps/v1`.
    let near = crate::near::nearest(group, groups.iter().copied().filter(|group| !group.is_empty()));
    match (near, served_in.first()) {
        (Some(_), Some(other)) => Reason::Typo(other.clone(), kind.to_owned()),
        _ => Reason::Foreign,
    }
}

/// The kind of a group, or of any, that a misspelt one means.
fn near_kind(group: &str, kind: &str) -> Option<&'static str> {
    let all = kinds::schema::resources().iter();
    let of_group = all.clone().filter(|one| one.group == group).map(|one| one.kind);
    // Plurals, in words or by habit.
    let plural = kinds::schema::resources().iter().find(|one| one.plural == kind.to_lowercase());
    let short = kinds::schema::resources().iter().find(|one| one.short_names.contains(&kind.to_lowercase().as_str()));
    plural
        .or(short)
        .map(|one| one.kind)
        .or_else(|| crate::near::nearest(kind, of_group))
        .or_else(|| crate::near::nearest(kind, all.map(|one| one.kind)))
}
