//! What a node may: read what its pods need, and write about itself and its pods (KEP-279, KEP-4601).
//!
//! RBAC can't say "the secrets of my pods", so this decides from the view. A node that gets no yes here falls through
//! to RBAC, where it has nothing unless somebody bound it a role.
//!
//! Deliberately wider than Kubernetes: every node lists all pods and nodes, because a node here is also the service
//! proxy and the cluster's DNS, and attributes carry no field selector beyond a name.

use api::View;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodSpec, Volume};

use super::Decision;
use crate::{Attributes, User};

/// The name of the node that a user is.
pub fn name_of(user: &User) -> Option<&str> {
    let name = user.name.strip_prefix("system:node:")?;
    (user.in_group("system:nodes") && !name.is_empty()).then_some(name)
}

/// Decides for nodes; `None` for everybody else.
pub fn decide(view: &View, user: &User, attributes: &Attributes) -> Option<Decision> {
    let node = name_of(user)?;
    if !attributes.is_resource {
        return Some(Decision::default());
    }
    Some(Asked { view, node, attributes }.decide())
}

/// What every node may, whatever runs on it: (verbs, group, resources with their subresources).
const ALWAYS: &[(&str, &str, &str)] = &[
    ("create", "authentication.k8s.io", "tokenreviews"),
    ("create", "authorization.k8s.io", "subjectaccessreviews localsubjectaccessreviews"),
    ("get list watch", "", "services"),
    ("create patch update", "", "events"),
    ("create patch update", "events.k8s.io", "events"),
    ("create get list watch", "certificates.k8s.io", "certificatesigningrequests podcertificaterequests"),
    ("get list watch", "certificates.k8s.io", "clustertrustbundles"),
    ("get list watch", "storage.k8s.io", "csidrivers"),
    ("get list watch", "node.k8s.io", "runtimeclasses"),
    // Every node of this cluster runs the service proxy and the cluster's DNS under its own identity.
    ("get list watch", "discovery.k8s.io", "endpointslices"),
    ("get list watch", "", "namespaces"),
    ("list watch", "", "nodes"),
];

struct Asked<'a> {
    view: &'a View,
    node: &'a str,
    attributes: &'a Attributes,
}

impl Asked<'_> {
    fn decide(&self) -> Decision {
        let asked = self.attributes;
        let (verb, resource, sub) = (asked.verb.as_str(), asked.resource.as_str(), asked.subresource.as_str());
        let always = |(verbs, group, resources): &(&str, &str, &str)| {
            *group == asked.group
                && sub.is_empty()
                && verbs.split(' ').any(|one| one == verb)
                && resources.split(' ').any(|one| one == resource)
        };
        if ALWAYS.iter().any(always) {
            return Decision::allow("");
        }
        match (asked.group.as_str(), resource) {
            ("", "nodes") => self.nodes(verb, sub),
            ("", "pods") => self.pods(verb, sub),
            ("", "secrets" | "configmaps") if sub.is_empty() => self.read(verb, resource),
            ("", "serviceaccounts") if sub == "token" && verb == "create" => self.related("serviceaccounts"),
            ("", "serviceaccounts") if sub.is_empty() && verb == "get" => self.related("serviceaccounts"),
            ("", "persistentvolumeclaims") if sub.is_empty() && verb == "get" => self.related(resource),
            ("", "persistentvolumeclaims") if sub == "status" && matches!(verb, "get" | "update" | "patch") => {
                self.related(resource)
            }
            ("", "persistentvolumes") if sub.is_empty() && verb == "get" => self.related(resource),
            ("storage.k8s.io", "volumeattachments") if sub.is_empty() && verb == "get" => Decision::allow(""),
            ("storage.k8s.io", "csinodes") if sub.is_empty() => self.own(verb, "CSINode"),
            ("coordination.k8s.io", "leases") if sub.is_empty() => self.lease(verb),
            ("resource.k8s.io", "resourceclaims") if sub.is_empty() && verb == "get" => self.related(resource),
            ("resource.k8s.io", "resourceslices") if sub.is_empty() => Decision::allow(""),
            _ => Decision::default(),
        }
    }

    /// A node reads every node (its service proxy and routes need them) and writes only its own.
    fn nodes(&self, verb: &str, sub: &str) -> Decision {
        let asked = self.attributes;
        match (verb, sub) {
            ("get", "") => Decision::allow(""),
            ("create", "") => Decision::allow(""),
            ("update" | "patch", "" | "status") if asked.name == self.node => Decision::allow(""),
            ("update" | "patch" | "delete", _) => {
                Decision::no(format!("node {:?} is not allowed to modify node {:?}", self.node, asked.name))
            }
            _ => Decision::default(),
        }
    }

    /// Reads of pods, and writes of what happens to its own.
    fn pods(&self, verb: &str, sub: &str) -> Decision {
        let asked = self.attributes;
        match (verb, sub) {
            ("list" | "watch", "") => Decision::allow(""),
            ("create", "") => Decision::allow(""),
            ("get" | "delete", "") | ("update" | "patch", "status") | ("create", "eviction") => {
                match self.view.get::<Pod>(&asked.namespace, &asked.name) {
                    // Whether it exists is no secret: the answer after this one is "not found".
                    None => Decision::allow(""),
                    Some(pod) if runs_on(pod) == Some(self.node) => Decision::allow(""),
                    Some(_) if verb == "get" => Decision::no(self.unrelated()),
                    Some(_) => Decision::no(format!(
                        "node {:?} can only {verb} pods with spec.nodeName set to itself",
                        self.node
                    )),
                }
            }
            _ => Decision::default(),
        }
    }

    /// Reads of one named object that a pod on this node refers to.
    fn read(&self, verb: &str, resource: &str) -> Decision {
        match verb {
            "get" | "list" | "watch" if self.attributes.name.is_empty() => {
                Decision::no("No Object name found".to_owned())
            }
            "get" | "list" | "watch" => self.related(resource),
            _ => Decision::no("can only read resources of this type".to_owned()),
        }
    }

    fn own(&self, verb: &str, kind: &str) -> Decision {
        let own = self.attributes.name == self.node || verb == "create" && self.attributes.name.is_empty();
        match verb {
            "get" | "create" | "update" | "patch" | "delete" if own => Decision::allow(""),
            _ => Decision::no(format!("can only access {kind} with the same name as the requesting node")),
        }
    }

    fn lease(&self, verb: &str) -> Decision {
        if self.attributes.namespace != "kube-node-lease" {
            return Decision::no("can only access leases in the \"kube-node-lease\" system namespace");
        }
        self.own(verb, "node lease")
    }

    fn related(&self, resource: &str) -> Decision {
        let (namespace, name) = (self.attributes.namespace.as_str(), self.attributes.name.as_str());
        let related = self.view.list_by_field::<Pod>(self.node).any(|pod| {
            let own_namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let Some(spec) = &pod.spec else { return false };
            if resource == "persistentvolumes" {
                return self.claims(spec, own_namespace).any(|volume| volume == name);
            }
            own_namespace == namespace && refers(pod, spec, resource, name)
        });
        if related { Decision::allow("") } else { Decision::no(self.unrelated()) }
    }

    /// Volumes that a pod's claims are bound to.
    fn claims<'b>(&'b self, spec: &'b PodSpec, namespace: &'b str) -> impl Iterator<Item = &'b str> {
        let claims = spec.volumes.iter().flatten().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        claims.filter_map(move |claim| {
            let claim = self.view.get::<PersistentVolumeClaim>(namespace, &claim.claim_name)?;
            claim.spec.as_ref()?.volume_name.as_deref()
        })
    }

    fn unrelated(&self) -> String {
        format!("no relationship found between node {:?} and this object", self.node)
    }
}

fn runs_on(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// Whether a pod names an object of its own namespace.
fn refers(pod: &Pod, spec: &PodSpec, resource: &str, name: &str) -> bool {
    let volumes = || spec.volumes.iter().flatten();
    match resource {
        "serviceaccounts" => spec.service_account_name.as_deref() == Some(name),
        "persistentvolumeclaims" => volumes().any(|volume| {
            let named = volume.persistent_volume_claim.as_ref().is_some_and(|claim| claim.claim_name == name);
            let pod = pod.metadata.name.as_deref().unwrap_or_default();
            named || volume.ephemeral.is_some() && format!("{pod}-{}", volume.name) == name
        }),
        "resourceclaims" => {
            let statuses = pod.status.iter().flat_map(|status| status.resource_claim_statuses.iter().flatten());
            let named =
                spec.resource_claims.iter().flatten().any(|one| one.resource_claim_name.as_deref() == Some(name));
            named || statuses.into_iter().any(|one| one.resource_claim_name.as_deref() == Some(name))
        }
        "secrets" => {
            spec.image_pull_secrets.iter().flatten().any(|secret| secret.name == name)
                || volumes().any(|volume| volume_has_secret(volume, name))
                || in_environment(spec, |source| source.0 == Some(name))
        }
        "configmaps" => {
            volumes().any(|volume| volume_has_config_map(volume, name))
                || in_environment(spec, |source| source.1 == Some(name))
        }
        _ => false,
    }
}

fn volume_has_secret(volume: &Volume, name: &str) -> bool {
    let projected = volume.projected.iter().flat_map(|volume| volume.sources.iter().flatten());
    let csi = volume.csi.as_ref().and_then(|csi| csi.node_publish_secret_ref.as_ref());
    volume.secret.as_ref().is_some_and(|secret| secret.secret_name.as_deref() == Some(name))
        || projected.filter_map(|source| source.secret.as_ref()).any(|secret| secret.name == name)
        || csi.is_some_and(|secret| secret.name == name)
}

fn volume_has_config_map(volume: &Volume, name: &str) -> bool {
    let projected = volume.projected.iter().flat_map(|volume| volume.sources.iter().flatten());
    volume.config_map.as_ref().is_some_and(|map| map.name == name)
        || projected.filter_map(|source| source.config_map.as_ref()).any(|map| map.name == name)
}

/// Whether a container's environment comes from what `wanted` accepts, given as (secret, config map).
fn in_environment(spec: &PodSpec, wanted: impl Fn((Option<&str>, Option<&str>)) -> bool) -> bool {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let regular = containers.map(|one| (one.env.as_deref(), one.env_from.as_deref()));
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|one| (one.env.as_deref(), one.env_from.as_deref()));
    regular.chain(ephemeral).any(|(env, env_from)| {
        let values = env.unwrap_or_default().iter().filter_map(|variable| variable.value_from.as_ref());
        let mut single = values.map(|source| {
            let secret = source.secret_key_ref.as_ref().map(|key| key.name.as_str());
            (secret, source.config_map_key_ref.as_ref().map(|key| key.name.as_str()))
        });
        let mut whole = env_from.unwrap_or_default().iter().map(|source| {
            let secret = source.secret_ref.as_ref().map(|secret| secret.name.as_str());
            (secret, source.config_map_ref.as_ref().map(|map| map.name.as_str()))
        });
        single.any(&wanted) || whole.any(&wanted)
    })
}

#[cfg(test)]
mod cases;
