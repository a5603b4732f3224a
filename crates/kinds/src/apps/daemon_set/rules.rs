//! Defaults and validation of DaemonSets.

use api::{FieldErrors, Path};
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetUpdateStrategy, RollingUpdateDaemonSet};
use serde_json::{Value, json};

use crate::apps::selector;
use crate::checks;
use crate::core::pod_template;
use crate::value::{default, default_text, object, put, text};

/// Defaults of a DaemonSet.
pub fn defaults(set: &mut Value) {
    let Some(spec) = object(set, "spec") else { return };
    default(spec, "revisionHistoryLimit", 10);
    if let Some(strategy) = object(spec, "updateStrategy") {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            default(rolling, "maxUnavailable", 1);
            default(rolling, "maxSurge", 0);
        }
    }
    pod_template::defaults_in(set);
}

/// On create nothing is scheduled yet.
pub fn prepare(set: &mut Value, old: Option<&Value>) {
    if old.is_none() && set.is_object() {
        put(
            set,
            "status",
            json!({
                "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
            }),
        );
    }
}

/// Reports everything that is wrong.
pub fn validate(set: &DaemonSet, old: Option<&DaemonSet>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = &set.spec;
    let old_spec = old.map(|old| &old.spec);
    selector::validate(&spec.selector, old_spec.map(|spec| &spec.selector), errors);
    pod_template::validate_for("DaemonSet", &spec.template, &spec.selector, &path.child("template"), errors);
    checks::maybe_not_negative(errors, &path.child("minReadySeconds"), spec.min_ready_seconds);
    strategy(&spec.update_strategy.clone().unwrap_or_default(), &path.child("updateStrategy"), errors);
    checks::maybe_not_negative(errors, &path.child("revisionHistoryLimit"), spec.revision_history_limit);
}

fn strategy(strategy: &DaemonSetUpdateStrategy, path: &Path, errors: &mut FieldErrors) {
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errors.required(&path.child("rollingUpdate"), ""),
        ("RollingUpdate", Some(update)) => rolling(update, &path.child("rollingUpdate"), errors),
        _ => errors.not_supported(path, checks::json(strategy), &["OnDelete", "RollingUpdate"]),
    }
}

fn rolling(update: &RollingUpdateDaemonSet, path: &Path, errors: &mut FieldErrors) {
    let (unavailable_path, surge_path) = (path.child("maxUnavailable"), path.child("maxSurge"));
    for (path, value) in [(&unavailable_path, &update.max_unavailable), (&surge_path, &update.max_surge)] {
        if let Some(value) = value {
            checks::count_or_percent(errors, path, value);
            checks::at_most_everything(errors, path, value);
        }
    }
    let some = |value: &Option<_>| value.as_ref().map(checks::amount).is_some_and(|amount| amount != 0);
    match (some(&update.max_unavailable), some(&update.max_surge), &update.max_surge) {
        (true, true, Some(surge)) => {
            errors.invalid(&surge_path, checks::shown(surge), "may not be set when maxUnavailable is non-zero");
        }
        (false, false, _) => errors.required(&unavailable_path, "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}
