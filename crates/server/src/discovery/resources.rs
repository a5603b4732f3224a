//! What is served, group by group: the catalogue's kinds, the resources that are asked rather than stored, and
//! subresources.
//!
//! Subresources and questions are the server's own: it answers them, whatever kinds the catalogue has.

use api::{Catalogue, KindDef};

use crate::metrics;

const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const CREATE: &[&str] = &["create"];
const CONNECT: &[&str] = &["create", "get"];
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];
const CHANGE: &[&str] = &["get", "patch", "update"];

/// Group, version and kind of what is sent and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// API group; empty for core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
}

/// A part of a resource with a path of its own.
#[derive(Clone, Copy, Debug)]
pub struct Subresource {
    /// Name, for example `scale`.
    pub name: &'static str,
    /// What is sent and answered.
    pub of: Name,
    /// What can be done.
    pub verbs: &'static [&'static str],
}

/// A resource in one version.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Plural as in the URL.
    pub plural: &'static str,
    /// Singular as kubectl accepts it.
    pub singular: String,
    /// Its kind.
    pub of: Name,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What can be done.
    pub verbs: &'static [&'static str],
    /// Short names.
    pub short_names: &'static [&'static str],
    /// Categories.
    pub categories: &'static [&'static str],
    /// Subresources, by name.
    pub subresources: Vec<Subresource>,
}

/// A version of a group.
#[derive(Clone, Debug)]
pub struct Version {
    /// API group; empty for core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Resources, by plural.
    pub resources: Vec<Resource>,
}

impl Version {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `api/v1` or `apis/apps/v1`: the path, without the first slash.
    pub fn path(&self) -> String {
        if self.group.is_empty() { format!("api/{}", self.version) } else { format!("apis/{}", self.api_version()) }
    }
}

/// A group, its preferred version first.
#[derive(Clone, Debug)]
pub struct Group {
    /// Name; empty for core.
    pub name: &'static str,
    /// Versions.
    pub versions: Vec<Version>,
}

/// Everything that a catalogue's server serves, the core group first.
pub fn groups(catalogue: &Catalogue) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |resource: Resource| {
        let Name { group, version, .. } = resource.of;
        let at = groups.iter().position(|known| known.name == group).unwrap_or_else(|| {
            groups.push(Group { name: group, versions: Vec::new() });
            groups.len() - 1
        });
        let versions = &mut groups[at].versions;
        let at = versions.iter().position(|known| known.version == version).unwrap_or_else(|| {
            versions.push(Version { group, version, resources: Vec::new() });
            versions.len() - 1
        });
        versions[at].resources.push(resource);
    };
    for kind in catalogue.kinds() {
        add(stored(kind, kind.group, kind.version));
    }
    for alias in catalogue.aliases() {
        if let Some(kind) = catalogue.by_kind(alias.stored.group, alias.stored.kind) {
            add(stored(kind, alias.group, alias.version));
        }
    }
    ASKED.iter().for_each(|one| add(asked(one)));
    MEASURED.iter().for_each(|one| add(measured(one)));
    for version in groups.iter_mut().flat_map(|group| &mut group.versions) {
        version.resources.sort_by_key(|resource| resource.plural);
    }
    groups.sort_by_key(|group| !group.name.is_empty());
    groups
}

fn stored(def: &KindDef, group: &'static str, version: &'static str) -> Resource {
    let of = Name { group, version, kind: def.kind };
    let mut subresources: Vec<Subresource> = SUBRESOURCES
        .iter()
        .filter(|(own_group, plural, ..)| *own_group == group && *plural == def.plural)
        .map(|(_, _, name, (other_group, kind), verbs)| {
            let other = Name { group: other_group, version: "v1", kind };
            Subresource { name, of: if kind.is_empty() { of } else { other }, verbs }
        })
        .collect();
    if def.status {
        subresources.push(Subresource { name: "status", of, verbs: CHANGE });
    }
    if def.scale.is_some() {
        let scale = Name { group: "autoscaling", version: "v1", kind: "Scale" };
        subresources.push(Subresource { name: "scale", of: scale, verbs: CHANGE });
    }
    subresources.sort_by_key(|subresource| subresource.name);
    Resource {
        plural: def.plural,
        singular: def.kind.to_lowercase(),
        of,
        namespaced: def.namespaced,
        verbs: if def.plural == "componentstatuses" { &["get", "list"] } else { ALL },
        short_names: def.short_names,
        categories: def.categories,
        subresources,
    }
}

/// Resources that answer and forget, of version v1: group, kind, whether they live in namespaces.
const ASKED: &[(&str, &str, &str, bool)] = &[
    ("", "Binding", "bindings", true),
    ("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", false),
    ("authentication.k8s.io", "TokenReview", "tokenreviews", false),
    ("authorization.k8s.io", "LocalSubjectAccessReview", "localsubjectaccessreviews", true),
    ("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", false),
    ("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews", false),
    ("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", false),
];

fn asked(&(group, kind, plural, namespaced): &(&'static str, &'static str, &'static str, bool)) -> Resource {
    Resource {
        plural,
        singular: kind.to_lowercase(),
        of: Name { group, version: "v1", kind },
        namespaced,
        verbs: CREATE,
        short_names: &[],
        categories: &[],
        subresources: Vec::new(),
    }
}

/// Resources that are measured when asked for: kind, plural, whether they live in namespaces. They share their
/// plurals with what they are about, so their group comes last: the core group's are meant by the short form.
const MEASURED: &[(&str, &str, bool)] = &[("NodeMetrics", "nodes", false), ("PodMetrics", "pods", true)];

fn measured(&(kind, plural, namespaced): &(&'static str, &'static str, bool)) -> Resource {
    Resource {
        plural,
        singular: kind.to_lowercase(),
        of: Name { group: metrics::GROUP, version: metrics::VERSION, kind },
        namespaced,
        verbs: &["get", "list"],
        short_names: &[],
        categories: &[],
        subresources: Vec::new(),
    }
}

/// The resource's own kind.
const OWN: (&str, &str) = ("", "");

type Facts = (&'static str, &'static str, &'static str, (&'static str, &'static str), &'static [&'static str]);

/// Subresources beside `status` and `scale`: group, plural, name, group and kind of what is sent, verbs.
const SUBRESOURCES: &[Facts] = &[
    ("", "namespaces", "finalize", OWN, &["update"]),
    ("", "nodes", "proxy", ("", "NodeProxyOptions"), PROXY),
    ("", "pods", "attach", ("", "PodAttachOptions"), CONNECT),
    ("", "pods", "binding", ("", "Binding"), CREATE),
    ("", "pods", "ephemeralcontainers", OWN, CHANGE),
    ("", "pods", "eviction", ("policy", "Eviction"), CREATE),
    ("", "pods", "exec", ("", "PodExecOptions"), CONNECT),
    ("", "pods", "log", OWN, &["get"]),
    ("", "pods", "portforward", ("", "PodPortForwardOptions"), CONNECT),
    ("", "pods", "proxy", ("", "PodProxyOptions"), PROXY),
    ("", "pods", "resize", OWN, CHANGE),
    ("", "serviceaccounts", "token", ("authentication.k8s.io", "TokenRequest"), CREATE),
    ("", "services", "proxy", ("", "ServiceProxyOptions"), PROXY),
    ("certificates.k8s.io", "certificatesigningrequests", "approval", OWN, CHANGE),
];
