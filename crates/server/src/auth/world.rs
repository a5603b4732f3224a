//! Views for the cases of this folder, made from objects as JSON.

use std::net::SocketAddr;
use std::sync::Arc;

use api::kind::Rules;
use api::{Catalogue, KindDef, Object, View};
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde_json::Value;

use super::State;
use crate::{Attributes, Config, User};

const KINDS: &[KindDef] = &[
    KindDef::namespaced::<Pod>(&Rules::NONE).select_by(&["spec.nodeName"]),
    KindDef::namespaced::<Secret>(&Rules::NONE),
    KindDef::namespaced::<ServiceAccount>(&Rules::NONE),
    KindDef::namespaced::<PersistentVolumeClaim>(&Rules::NONE),
    KindDef::cluster::<Node>(&Rules::NONE),
    KindDef::namespaced::<Role>(&Rules::NONE),
    KindDef::namespaced::<RoleBinding>(&Rules::NONE),
    KindDef::cluster::<ClusterRole>(&Rules::NONE),
    KindDef::cluster::<ClusterRoleBinding>(&Rules::NONE),
];

/// The view of these objects; each needs `kind` and `metadata`.
pub fn view(objects: impl IntoIterator<Item = Value>) -> View {
    let mut view = View::empty(Arc::new(Catalogue::new(KINDS, &[])));
    for object in objects {
        add(&mut view, object);
    }
    view
}

/// Puts an object into a view.
pub fn add(view: &mut View, object: Value) {
    let name = object["kind"].as_str().unwrap().to_owned();
    let kind = view.catalogue().kinds().iter().find(|kind| kind.kind == name).unwrap();
    let object = Object::seal(kind, object, view.revision() + 1);
    view.insert(Arc::new(object));
    view.advance(view.revision() + 1);
}

/// A state with a key of its own.
pub fn state() -> State {
    State::new(&Config::new(SocketAddr::from(([127, 0, 0, 1], 6443)))).unwrap()
}

/// A user and groups from `name group group`.
pub fn user(text: &str) -> User {
    let mut words = text.split(' ');
    User::new(words.next().unwrap(), words)
}

/// Attributes from `verb namespace/resource.group/name` (`-` for no namespace, `/path` for no resource).
pub fn asked(text: &str) -> Attributes {
    let (verb, rest) = text.split_once(' ').unwrap();
    if rest.starts_with('/') {
        return Attributes { verb: verb.into(), path: rest.into(), ..Attributes::default() };
    }
    let mut parts = rest.splitn(3, '/');
    let namespace = parts.next().unwrap();
    let (resource, name) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (resource, subresource) = resource.split_once(':').unwrap_or((resource, ""));
    Attributes {
        verb: verb.into(),
        is_resource: true,
        group: group.into(),
        version: "v1".into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: if namespace == "-" { String::new() } else { namespace.into() },
        name: name.into(),
        ..Attributes::default()
    }
}
