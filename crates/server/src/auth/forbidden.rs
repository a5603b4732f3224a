//! The texts of 403, which kubectl prints and scripts read.

use api::Status;
use api::status::Reason;

use crate::{Attributes, User};

/// What a user may not: `User "u" cannot list resource "pods" in API group "" in the namespace "default"`.
pub fn text(user: &User, attributes: &Attributes) -> String {
    let (name, verb) = (&user.name, &attributes.verb);
    if !attributes.is_resource {
        return format!("User {name:?} cannot {verb} path {:?}", attributes.path);
    }
    let (resource, group) = (attributes.resource_and_sub(), &attributes.group);
    let place = if attributes.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", attributes.namespace)
    };
    format!("User {name:?} cannot {verb} resource {resource:?} in API group {group:?} {place}")
}

/// 403, with the authorizers' reason when they have one.
pub fn refusal(user: &User, attributes: &Attributes, reason: &str) -> Status {
    let mut detail = text(user, attributes);
    if !reason.is_empty() {
        detail = format!("{detail}: {reason}");
    }
    if !attributes.is_resource {
        return Status::new(Reason::Forbidden, format!("forbidden: {detail}"));
    }
    about(&attributes.group, &attributes.resource, &attributes.name, &detail)
}

/// 403 about a resource; `name` is empty for the collection.
pub fn about(group: &str, resource: &str, name: &str, detail: &str) -> Status {
    if !name.is_empty() {
        return Status::forbidden(group, resource, name, detail);
    }
    let shown = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    Status::new(Reason::Forbidden, format!("{shown} is forbidden: {detail}")).about(group, resource, "")
}
