//! One remembered state of a DaemonSet or StatefulSet.

use api::{FieldErrors, KindDef, Path, Row, Rules};
use k8s_openapi::api::apps::v1::ControllerRevision;
use serde_json::Value;

use crate::checks;
use crate::table::{NONE, age, name, string};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ControllerRevision>(&RULES);

const RULES: Rules<ControllerRevision> = Rules {
    defaults: |_| {},
    prepare: |_, _| {},
    validate,
    columns: &[
        name(),
        string("Controller", controller),
        string("Revision", |revision, _| Value::from(revision.revision.unwrap_or_default())),
        age(),
    ],
};

fn controller(revision: &ControllerRevision, _: Row) -> Value {
    let mut owners = revision.metadata.owner_references.iter().flatten();
    let Some(owner) = owners.find(|owner| owner.controller == Some(true)) else { return Value::from(NONE) };
    let kind = match owner.api_version.split_once('/') {
        Some((group, _)) => format!("{}.{group}", owner.kind),
        None => owner.kind.clone(),
    };
    Value::from(format!("{}/{}", kind.to_lowercase(), owner.name))
}

/// What a revision remembers never changes.
fn validate(revision: &ControllerRevision, old: Option<&ControllerRevision>, errors: &mut FieldErrors) {
    let path = Path::new("data");
    if revision.data.0.is_null() {
        errors.required(&path, "data is mandatory");
    }
    checks::maybe_not_negative(errors, &Path::new("revision"), revision.revision);
    if let Some(old) = old {
        errors.immutable(&path, &revision.data, &old.data, revision.data.0.clone());
    }
}
