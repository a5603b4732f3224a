//! What of a pod may change after it was made.

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::{Container, NodeSelector, Pod, PodSpec};
use serde_json::Value;

use super::{rules, spec::tolerations};
use crate::checks;

const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
`spec.tolerations` (only additions to existing tolerations),\
`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Reports what an update may not do.
pub fn validate(pod: &Pod, old: &Pod, errors: &mut FieldErrors) {
    let (new_spec, old_spec) = (pod.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let path = Path::new("spec");
    rules::status(pod, old, errors);
    let lists = [
        ("containers", &new_spec.containers[..], &old_spec.containers[..]),
        (
            "initContainers",
            new_spec.init_containers.as_deref().unwrap_or_default(),
            old_spec.init_containers.as_deref().unwrap_or_default(),
        ),
    ];
    for (field, new, old) in lists {
        if new.len() != old.len() {
            return errors.forbidden(&path.child(field), "pod updates may not add or remove containers");
        }
    }
    if !deadline(&new_spec, &old_spec, &path.child("activeDeadlineSeconds"), errors) {
        return;
    }
    tolerations::only_added(
        new_spec.tolerations.as_deref().unwrap_or_default(),
        old_spec.tolerations.as_deref().unwrap_or_default(),
        &path.child("tolerations"),
        errors,
    );
    gates(&new_spec, &old_spec, &path.child("schedulingGates"), errors);
    let unchanged = with_allowed_changes(new_spec, &old_spec, &path, errors);
    if unchanged != old_spec {
        let what = difference(&checks::json(&old_spec), &checks::json(&unchanged));
        errors.forbidden(&path, &format!("pod updates may not change fields other than {UPDATABLE}\n{what}"));
    }
}

/// The new spec with everything that may change set back; what still differs may not.
fn with_allowed_changes(mut new: PodSpec, old: &PodSpec, path: &Path, errors: &mut FieldErrors) -> PodSpec {
    let set_back = |new: &mut [Container], old: &[Container]| {
        new.iter_mut().zip(old).for_each(|(new, old)| new.image.clone_from(&old.image));
    };
    set_back(&mut new.containers, &old.containers);
    set_back(
        new.init_containers.as_deref_mut().unwrap_or_default(),
        old.init_containers.as_deref().unwrap_or_default(),
    );
    new.active_deadline_seconds = old.active_deadline_seconds;
    new.tolerations.clone_from(&old.tolerations);
    new.scheduling_gates.clone_from(&old.scheduling_gates);
    if old.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0)
        && new.termination_grace_period_seconds == Some(1)
    {
        new.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    if old.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        gated_changes(&mut new, old, path, errors);
    }
    new
}

/// While a pod is gated, where it may run can be narrowed (KEP-3838).
fn gated_changes(new: &mut PodSpec, old: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    if new.node_selector != old.node_selector {
        let kept =
            |key: &String, value: &String| new.node_selector.as_ref().and_then(|labels| labels.get(key)) == Some(value);
        if !old.node_selector.iter().flatten().all(|(key, value)| kept(key, value)) {
            let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
            errors.invalid(&path.child("nodeSelector"), checks::json(&new.node_selector), why);
        }
        new.node_selector.clone_from(&old.node_selector);
    }
    let node_affinity = |spec: &PodSpec| spec.affinity.clone().unwrap_or_default().node_affinity;
    let (after, before) = (node_affinity(new), node_affinity(old));
    if after == before {
        return;
    }
    let required = |affinity: &Option<k8s_openapi::api::core::v1::NodeAffinity>| {
        affinity.clone().unwrap_or_default().required_during_scheduling_ignored_during_execution
    };
    if let Some(old_terms) = required(&before)
        && !required(&after).is_some_and(|new_terms| narrowed(&new_terms, &old_terms))
    {
        let path = path.child("affinity").child("nodeAffinity");
        let path = path.child("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
        let why = "only additions are allowed, and only to existing terms (no mutations or deletions)";
        errors.invalid(&path, checks::json(&required(&after)), why);
    }
    let mut affinity = new.affinity.clone().unwrap_or_default();
    affinity.node_affinity = before;
    new.affinity = if affinity == Default::default() { old.affinity.clone() } else { Some(affinity) };
}

fn narrowed(new: &NodeSelector, old: &NodeSelector) -> bool {
    new.node_selector_terms.len() == old.node_selector_terms.len()
        && new.node_selector_terms.iter().zip(&old.node_selector_terms).all(|(new, old)| {
            let has_all = |new: &Option<Vec<_>>, old: &Option<Vec<_>>| {
                old.iter().flatten().all(|one| new.iter().flatten().any(|other| other == one))
            };
            has_all(&new.match_expressions, &old.match_expressions) && has_all(&new.match_fields, &old.match_fields)
        })
}

/// A deadline can be set once, and then only come nearer. `false` when nothing more needs to be said.
fn deadline(new: &PodSpec, old: &PodSpec, path: &Path, errors: &mut FieldErrors) -> bool {
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(seconds), _) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            checks::within(errors, path, seconds, 0, i32::MAX.into());
            false
        }
        (Some(seconds), Some(before)) if before < seconds => {
            errors.invalid(path, seconds, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            errors.invalid(path, Value::Null, "must not update from a positive integer to nil value");
            true
        }
        _ => true,
    }
}

fn gates(new: &PodSpec, old: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    let before = old.scheduling_gates.as_deref().unwrap_or_default();
    for (index, gate) in new.scheduling_gates.iter().flatten().enumerate() {
        if !before.contains(gate) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
            errors.forbidden(&path.index(index).child("name"), &why);
        }
    }
}

/// The fields of two objects that differ, one line each way.
fn difference(old: &Value, new: &Value) -> String {
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else { return String::new() };
    let mut lines = Vec::new();
    for field in before.keys().chain(after.keys().filter(|field| !before.contains_key(*field))) {
        let (old, new) = (before.get(field), after.get(field));
        if old != new {
            lines.extend(old.map(|value| format!("- {field}: {value}")));
            lines.extend(new.map(|value| format!("+ {field}: {value}")));
        }
    }
    lines.join("\n")
}
