//! What a pod is before anything acts on it, and what makes one wrong.

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use serde_json::{Value, json};

use super::{qos, spec, update};
use crate::checks;
use crate::value::{at, default, put};

/// A new pod is pending. Its class never changes, and a status written without it keeps it.
pub fn prepare(pod: &mut Value, old: Option<&Value>) {
    if let Some(old) = old {
        if let Some(status) = at(pod, "status")
            && let Some(class) = old["status"]["qosClass"].as_str()
        {
            default(status, "qosClass", class);
        }
        return;
    }
    if !pod.is_object() {
        return;
    }
    let class = qos::class(&pod["spec"]);
    let mut status = json!({ "phase": "Pending", "qosClass": class });
    if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        status["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
    put(pod, "status", status);
}

/// Reports everything that is wrong with a pod or with the change of one.
pub fn validate(pod: &Pod, old: Option<&Pod>, errors: &mut FieldErrors) {
    let absent = PodSpec::default();
    let pod_spec = pod.spec.as_ref().unwrap_or(&absent);
    let path = Path::new("spec");
    annotations(pod, pod_spec, errors);
    spec::validate(pod_spec, &path, true, errors);
    if pod_spec.service_account_name.as_deref().unwrap_or_default().is_empty() {
        token_without_account(pod_spec, &path, errors);
    }
    let Some(old) = old else {
        if pod_spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()) {
            errors.forbidden(&path.child("ephemeralContainers"), "cannot be set on create");
        }
        let gated = pod_spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
        if gated && pod_spec.node_name.as_ref().is_some_and(|name| !name.is_empty()) {
            let why = "cannot be set until all schedulingGates have been cleared";
            errors.forbidden(&path.child("nodeName"), why);
        }
        return;
    };
    update::validate(pod, old, errors);
}

/// Annotations that mean something for pods.
pub fn annotations(pod: &Pod, spec: &PodSpec, errors: &mut FieldErrors) {
    const MIRROR: &str = "kubernetes.io/config.mirror";
    const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let path = Path::new("metadata").child("annotations");
    let annotation = |name: &str| pod.metadata.annotations.as_ref().and_then(|all| all.get(name));
    if let Some(value) = annotation(MIRROR)
        && spec.node_name.as_ref().is_none_or(String::is_empty)
    {
        let why = "must set spec.nodeName if mirror pod annotation is set";
        errors.invalid(&path.key(MIRROR), value.as_str(), why);
    }
    if let Some(value) = annotation(DELETION_COST)
        && value.parse::<i32>().is_err()
    {
        errors.invalid(&path.key(DELETION_COST), value.as_str(), "must be a 32bit integer");
    }
}

fn token_without_account(spec: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let sources = volume.projected.as_ref().and_then(|projected| projected.sources.as_deref());
        for (part, source) in sources.into_iter().flatten().enumerate() {
            if source.service_account_token.is_some() {
                let path = path.child("volumes").index(index).child("projected").child("sources").index(part);
                let why = "must not be specified when serviceAccountName is not set";
                errors.forbidden(&path.child("serviceAccountToken"), why);
            }
        }
    }
}

/// The status may not change what the pod was made with.
pub fn status(pod: &Pod, old: &Pod, errors: &mut FieldErrors) {
    let class = |pod: &Pod| pod.status.as_ref().and_then(|status| status.qos_class.clone());
    if let Some(before) = class(old) {
        let path = Path::new("status").child("qosClass");
        errors.immutable(&path, &class(pod), &Some(before), checks::json(&class(pod)));
    }
}
