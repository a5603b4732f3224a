//! Priorities of people stay below those of the system, and never change: pods carry them as numbers.

use api::{FieldErrors, Path};
use k8s_openapi::api::scheduling::v1::PriorityClass;

use crate::checks;

/// The highest priority that people can give.
const HIGHEST: i32 = 1_000_000_000;

/// The classes of the system itself, with their values.
pub const SYSTEM: [(&str, i32); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// Reports everything that is wrong.
pub fn validate(class: &PriorityClass, old: Option<&PriorityClass>, errors: &mut FieldErrors) {
    let name = class.metadata.name.as_deref().unwrap_or_default();
    let value = class.value.unwrap_or_default();
    if name.starts_with("system-") {
        let known = SYSTEM.iter().find(|(system, _)| *system == name);
        let why = match known {
            None => Some(format!("invalid system priority class name: {name}")),
            Some((_, wanted)) if *wanted != value => Some(format!("value of {name} PriorityClass must be {wanted}")),
            Some(_) if class.global_default == Some(true) => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(why) = why {
            let why =
                format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}");
            errors.forbidden(&Path::new("metadata").child("name"), &why);
        }
    } else if value > HIGHEST {
        let why = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.forbidden(&Path::new("value"), &why);
    }
    checks::maybe_one_of(
        errors,
        &Path::new("preemptionPolicy"),
        class.preemption_policy.as_deref(),
        &["Never", "PreemptLowerPriority"],
    );
    let Some(old) = old else { return };
    if class.value != old.value {
        errors.forbidden(&Path::new("value"), "may not be changed in an update.");
    }
    if class.preemption_policy != old.preemption_policy {
        let policy = class.preemption_policy.as_deref();
        errors.invalid(&Path::new("preemptionPolicy"), policy, "field is immutable");
    }
}
