//! Tolerations of pods and taints of nodes.

use std::collections::BTreeSet;

use api::field::{FieldError, FieldErrorType};
use api::{FieldErrors, Path, names};
use k8s_openapi::api::core::v1::{Taint, Toleration};

use crate::checks;

const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "PreferNoSchedule"];

/// Reports what is wrong with tolerations.
pub fn validate(tolerations: &[Toleration], path: &Path, errors: &mut FieldErrors) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let key = toleration.key.as_deref().unwrap_or_default();
        let operator = toleration.operator.as_deref().unwrap_or_default();
        let value = toleration.value.as_deref().unwrap_or_default();
        let effect = toleration.effect.as_deref().unwrap_or_default();
        if !key.is_empty() {
            checks::name(errors, &path.child("key"), key, checks::QUALIFIED);
        } else if operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(&path.child("operator"), operator, why);
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(&path.child("effect"), effect, why);
        }
        match operator {
            "" | "Equal" => {
                let wrong = names::label_value(value);
                if !wrong.is_empty() {
                    errors.invalid(&path.child("operator"), value, &wrong.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                errors.invalid(&path.child("operator"), value, "value must be empty when `operator` is 'Exists'");
            }
            "Exists" => {}
            other => errors.not_supported(&path.child("operator"), other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            checks::one_of(errors, &path.child("effect"), Some(effect), EFFECTS);
        }
    }
}

/// Reports what an update of a pod may not do to its tolerations: they can only be added, or wait longer.
pub fn only_added(new: &[Toleration], old: &[Toleration], path: &Path, errors: &mut FieldErrors) {
    let same = |old: &Toleration, new: &Toleration| {
        Toleration { toleration_seconds: new.toleration_seconds, ..old.clone() } == *new
    };
    if old.iter().all(|old| new.iter().any(|new| same(old, new))) {
        return validate(new, path, errors);
    }
    errors.forbidden(path, "existing toleration can not be modified except its tolerationSeconds");
}

/// Reports what is wrong with taints.
pub fn taints(taints: &[Taint], path: &Path, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        checks::name(errors, &path.child("key"), &taint.key, checks::QUALIFIED);
        let wrong = names::label_value(taint.value.as_deref().unwrap_or_default());
        if !wrong.is_empty() {
            errors.invalid(&path.child("value"), taint.value.as_deref(), &wrong.join(";"));
        }
        checks::one_of(errors, &path.child("effect"), Some(&taint.effect), EFFECTS);
        if !seen.insert((&taint.key, &taint.effect)) {
            let message =
                format!("Duplicate value: {}: taints must be unique by key and effect pair", checks::json(taint));
            errors.0.push(FieldError { kind: FieldErrorType::Duplicate, path, message });
        }
    }
}
