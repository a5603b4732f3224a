//! What discovery says about the built-in resources: their names, scope, verbs and subresources.
//!
//! Stored kinds say most of it themselves; here stand the resources that are asked rather than stored, and subresources
//! other than `status` and `scale`.

use std::sync::LazyLock;

use api::KindDef;

/// The verbs of a resource that is stored.
const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const CREATE: &[&str] = &["create"];
const GET: &[&str] = &["get"];
const CONNECT: &[&str] = &["create", "get"];
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];
const CHANGE: &[&str] = &["get", "patch", "update"];

/// Where the objects of a resource live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the cluster.
    Cluster,
    /// In namespaces.
    Namespaced,
}

/// A part of a resource with a path of its own, for example `pods/log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Name, for example `scale`.
    pub name: &'static str,
    /// Group of the kind that is sent and answered.
    pub group: &'static str,
    /// Version of that kind.
    pub version: &'static str,
    /// That kind.
    pub kind: &'static str,
    /// What can be done.
    pub verbs: &'static [&'static str],
}

/// A built-in resource in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Kind, for example `Pod`.
    pub kind: &'static str,
    /// Plural as in the URL.
    pub plural: &'static str,
    /// Singular as kubectl accepts it.
    pub singular: String,
    /// Short names.
    pub short_names: &'static [&'static str],
    /// Categories, for example `all`.
    pub categories: &'static [&'static str],
    /// Where its objects live.
    pub scope: Scope,
    /// What can be done.
    pub verbs: &'static [&'static str],
    /// Subresources, sorted by name.
    pub subresources: Vec<Subresource>,
}

/// Every built-in resource that is generally available, sorted by group, version and plural.
pub fn resources() -> &'static [Resource] {
    static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(|| {
        let mut all: Vec<Resource> = crate::KINDS.iter().map(|def| stored(def, def.group, def.version)).collect();
        for alias in crate::ALIASES {
            let same = |def: &&KindDef| def.group == alias.stored.group && def.kind == alias.stored.kind;
            all.extend(crate::KINDS.iter().find(same).map(|def| stored(def, alias.group, alias.version)));
        }
        all.extend(ASKED.iter().map(asked));
        all.sort_by(|a, b| (a.group, a.version, a.plural).cmp(&(b.group, b.version, b.plural)));
        all
    });
    &RESOURCES
}

fn stored(def: &KindDef, group: &'static str, version: &'static str) -> Resource {
    let own = Subresource { name: "status", group, version, kind: def.kind, verbs: CHANGE };
    let mut subresources: Vec<Subresource> = SUBRESOURCES
        .iter()
        .filter(|(of, _)| group.is_empty() && *of == def.plural || *of == format!("{}.{group}", def.plural))
        .map(|(_, subresource)| match subresource.kind {
            "" => Subresource { group, version, kind: def.kind, ..*subresource },
            _ => *subresource,
        })
        .collect();
    if def.status {
        subresources.push(own);
    }
    if def.scale.is_some() {
        subresources.push(Subresource { name: "scale", group: "autoscaling", version: "v1", kind: "Scale", ..own });
    }
    subresources.sort_by_key(|subresource| subresource.name);
    Resource {
        group,
        version,
        kind: def.kind,
        plural: def.plural,
        singular: def.kind.to_lowercase(),
        short_names: def.short_names,
        categories: def.categories,
        scope: if def.namespaced { Scope::Namespaced } else { Scope::Cluster },
        verbs: if def.plural == "componentstatuses" { &["get", "list"] } else { ALL_VERBS },
        subresources,
    }
}

/// Resources that answer and forget: group, kind, plural, scope. All are of version v1.
const ASKED: &[(&str, &str, &str, Scope)] = &[
    ("", "Binding", "bindings", Scope::Namespaced),
    ("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", Scope::Cluster),
    ("authentication.k8s.io", "TokenReview", "tokenreviews", Scope::Cluster),
    ("authorization.k8s.io", "LocalSubjectAccessReview", "localsubjectaccessreviews", Scope::Namespaced),
    ("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", Scope::Cluster),
    ("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews", Scope::Cluster),
    ("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", Scope::Cluster),
];

fn asked(&(group, kind, plural, scope): &(&'static str, &'static str, &'static str, Scope)) -> Resource {
    Resource {
        group,
        version: "v1",
        kind,
        plural,
        singular: kind.to_lowercase(),
        short_names: &[],
        categories: &[],
        scope,
        verbs: CREATE,
        subresources: Vec::new(),
    }
}

/// A subresource whose kind is that of its resource.
const fn own(name: &'static str, verbs: &'static [&'static str]) -> Subresource {
    Subresource { name, group: "", version: "", kind: "", verbs }
}

/// A subresource of another kind, of version v1.
const fn other(
    name: &'static str,
    group: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource { name, group, version: "v1", kind, verbs }
}

/// Subresources by `PLURAL.GROUP`.
const SUBRESOURCES: &[(&str, Subresource)] = &[
    ("certificatesigningrequests.certificates.k8s.io", own("approval", CHANGE)),
    ("namespaces", own("finalize", &["update"])),
    ("nodes", other("proxy", "", "NodeProxyOptions", PROXY)),
    ("pods", other("attach", "", "PodAttachOptions", CONNECT)),
    ("pods", other("binding", "", "Binding", CREATE)),
    ("pods", own("ephemeralcontainers", CHANGE)),
    ("pods", other("eviction", "policy", "Eviction", CREATE)),
    ("pods", other("exec", "", "PodExecOptions", CONNECT)),
    ("pods", own("log", GET)),
    ("pods", other("portforward", "", "PodPortForwardOptions", CONNECT)),
    ("pods", other("proxy", "", "PodProxyOptions", PROXY)),
    ("pods", own("resize", CHANGE)),
    ("serviceaccounts", other("token", "authentication.k8s.io", "TokenRequest", CREATE)),
    ("services", other("proxy", "", "ServiceProxyOptions", PROXY)),
];

#[cfg(test)]
mod tests {
    use super::{Resource, Scope, resources};

    fn resource(group: &str, plural: &str) -> &'static Resource {
        resources().iter().find(|resource| resource.group == group && resource.plural == plural).unwrap()
    }

    #[test]
    fn pods_have_their_subresources() {
        let pods = resource("", "pods");
        let names: Vec<&str> = pods.subresources.iter().map(|subresource| subresource.name).collect();
        let expected = [
            "attach",
            "binding",
            "ephemeralcontainers",
            "eviction",
            "exec",
            "log",
            "portforward",
            "proxy",
            "resize",
            "status",
        ];
        assert_eq!(names, expected);
        assert_eq!((pods.singular.as_str(), pods.scope), ("pod", Scope::Namespaced));
        assert_eq!(pods.subresources[5].kind, "Pod");
    }

    #[test]
    fn names_are_those_of_kubectl() {
        for (group, plural, short) in [
            ("", "pods", "po"),
            ("", "services", "svc"),
            ("", "namespaces", "ns"),
            ("apps", "deployments", "deploy"),
            ("networking.k8s.io", "ingresses", "ing"),
            ("autoscaling", "horizontalpodautoscalers", "hpa"),
            ("storage.k8s.io", "storageclasses", "sc"),
        ] {
            assert_eq!(resource(group, plural).short_names.first(), Some(&short), "{plural}");
        }
        for plural in ["pods", "services", "replicationcontrollers"] {
            assert_eq!(resource("", plural).categories, ["all"], "{plural}");
        }
        assert_eq!(resource("apps", "deployments").subresources.len(), 2);
        assert_eq!(resource("authorization.k8s.io", "subjectaccessreviews").verbs, ["create"]);
    }
}
