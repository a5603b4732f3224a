//! Who holds something, and until when.

use api::{FieldErrors, KindDef, Path, Rules};
use k8s_openapi::api::coordination::v1::Lease;

use crate::checks;
use crate::table::{age, name, string, text};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Lease>(&RULES);

const RULES: Rules<Lease> = Rules {
    validate,
    columns: &[
        name(),
        string("Holder", |lease, _| text(&lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()))),
        age(),
    ],
    ..Rules::NONE
};

fn validate(lease: &Lease, _: Option<&Lease>, errors: &mut FieldErrors) {
    let (spec, path) = (lease.spec.clone().unwrap_or_default(), Path::new("spec"));
    if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
        errors.invalid(&path.child("leaseDurationSeconds"), seconds, "must be greater than 0");
    }
    checks::maybe_not_negative(errors, &path.child("leaseTransitions"), spec.lease_transitions);
}
