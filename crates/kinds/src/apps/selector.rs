//! The selector of a workload: required, never empty, and decided once.

use api::{FieldErrors, Path};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::checks;

/// Reports what is wrong with the selector at `spec.selector`.
pub fn validate(selector: &LabelSelector, old: Option<&LabelSelector>, errors: &mut FieldErrors) {
    let path = Path::new("spec").child("selector");
    if checks::selects_everything(selector) {
        errors.required(&path, "");
    }
    checks::selector(errors, &path, selector);
    if let Some(old) = old {
        errors.immutable(&path, selector, old, checks::json(selector));
    }
}
