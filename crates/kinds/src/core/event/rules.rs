//! Events are about objects of their own namespace; those about objects without one are in `default`.

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::Event;

use crate::checks;

/// Reports everything that is wrong.
pub fn validate(event: &Event, _: Option<&Event>, errors: &mut FieldErrors) {
    let own = event.metadata.namespace.as_deref().unwrap_or_default();
    let about = event.involved_object.namespace.as_deref().unwrap_or_default();
    let path = Path::new("involvedObject").child("namespace");
    if about.is_empty() {
        if !["", "default", "kube-system"].contains(&own) {
            errors.invalid(&path, about, "does not match event.namespace");
        }
    } else if about != own {
        errors.invalid(&path, about, "does not match event.namespace");
    }
    // Only the newer way to write events, with `eventTime`, is checked further.
    if event.event_time.is_none() {
        return;
    }
    match event.reporting_component.as_deref() {
        None | Some("") => errors.required(&Path::new("reportingController"), ""),
        Some(name) => checks::name(errors, &Path::new("reportingController"), name, checks::QUALIFIED),
    }
    for (field, value, max) in [
        ("reportingInstance", &event.reporting_instance, 128),
        ("action", &event.action, 128),
        ("reason", &event.reason, 128),
    ] {
        let text = value.as_deref().unwrap_or_default();
        if text.is_empty() {
            errors.required(&Path::new(field), "");
        } else if text.len() > max {
            errors.invalid(&Path::new(field), text, &format!("can have at most {max} characters"));
        }
    }
    if event.message.as_ref().is_some_and(|message| message.len() > 1024) {
        errors.invalid(&Path::new("message"), "", "can have at most 1024 characters");
    }
}
