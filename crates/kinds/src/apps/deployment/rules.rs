//! Defaults and validation of deployments.

use api::{FieldErrors, Path};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStrategy};
use serde_json::Value;

use crate::apps::selector;
use crate::checks;
use crate::core::pod_template;
use crate::value::{clear_status, default, default_text, object, text};

/// Defaults of a deployment.
pub fn defaults(deployment: &mut Value) {
    let Some(spec) = object(deployment, "spec") else { return };
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    if let Some(strategy) = object(spec, "strategy") {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            default(rolling, "maxUnavailable", "25%");
            default(rolling, "maxSurge", "25%");
        }
    }
    pod_template::defaults_in(deployment);
    object(deployment, "status");
}

/// On create there is no status yet.
pub fn prepare(deployment: &mut Value, old: Option<&Value>) {
    clear_status(deployment, old);
}

/// Reports everything that is wrong.
pub fn validate(deployment: &Deployment, old: Option<&Deployment>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = &deployment.spec;
    let old_spec = old.map(|old| &old.spec);
    checks::maybe_not_negative(errors, &path.child("replicas"), spec.replicas);
    selector::validate(&spec.selector, old_spec.map(|spec| &spec.selector), errors);
    pod_template::validate_for("ReplicaSet", &spec.template, &spec.selector, &path.child("template"), errors);
    strategy(&spec.strategy.clone().unwrap_or_default(), &path.child("strategy"), errors);
    checks::maybe_not_negative(errors, &path.child("minReadySeconds"), spec.min_ready_seconds);
    checks::maybe_not_negative(errors, &path.child("revisionHistoryLimit"), spec.revision_history_limit);
    if let Some(deadline) = spec.progress_deadline_seconds {
        let path = path.child("progressDeadlineSeconds");
        checks::not_negative(errors, &path, deadline);
        if deadline <= spec.min_ready_seconds.unwrap_or_default() {
            errors.invalid(&path, deadline, "must be greater than minReadySeconds");
        }
    }
}

fn strategy(strategy: &DeploymentStrategy, path: &Path, errors: &mut FieldErrors) {
    let rolling_path = path.child("rollingUpdate");
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            errors.forbidden(&rolling_path, "may not be specified when strategy `type` is 'Recreate'");
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => errors.required(&rolling_path, "this should be defaulted and never be nil"),
        ("RollingUpdate", Some(rolling)) => {
            let (unavailable_path, surge_path) = (rolling_path.child("maxUnavailable"), rolling_path.child("maxSurge"));
            for (path, value) in [(&unavailable_path, &rolling.max_unavailable), (&surge_path, &rolling.max_surge)] {
                value.iter().for_each(|value| checks::count_or_percent(errors, path, value));
            }
            let amount = |value: &Option<_>| value.as_ref().map(checks::amount).unwrap_or_default();
            if let Some(unavailable) = &rolling.max_unavailable {
                if amount(&rolling.max_unavailable) == 0 && amount(&rolling.max_surge) == 0 {
                    let why = "may not be 0 when `maxSurge` is 0";
                    errors.invalid(&unavailable_path, checks::shown(unavailable), why);
                }
                checks::at_most_everything(errors, &unavailable_path, unavailable);
            }
        }
        _ => errors.not_supported(path, checks::json(strategy), &["Recreate", "RollingUpdate"]),
    }
}
