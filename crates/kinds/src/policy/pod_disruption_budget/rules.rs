//! A budget says either how many pods must stay or how many may go.

use api::{FieldErrors, Path};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::checks;

/// Reports everything that is wrong.
pub fn validate(budget: &PodDisruptionBudget, _: Option<&PodDisruptionBudget>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = budget.spec.clone().unwrap_or_default();
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        errors.invalid(&path, checks::json(&spec), "minAvailable and maxUnavailable cannot be both set");
    }
    for (field, amount) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
        if let Some(amount) = amount {
            checks::count_or_percent(errors, &path.child(field), amount);
            checks::at_most_everything(errors, &path.child(field), amount);
        }
    }
    if let Some(selector) = &spec.selector {
        checks::selector(errors, &path.child("selector"), selector);
    }
    let policy = spec.unhealthy_pod_eviction_policy.as_deref();
    let known = ["AlwaysAllow", "IfHealthyBudget"];
    checks::maybe_one_of(errors, &path.child("unhealthyPodEvictionPolicy"), policy, &known);
}
