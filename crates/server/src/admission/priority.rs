//! Priority: a pod's class becomes its number, and classes keep within what users may ask for.

use api::Status;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::{Value, json};

use super::Admit;

/// Highest value of a class that users define.
const HIGHEST_USER: i32 = 1_000_000_000;

/// Gives a new pod the priority of its class.
pub(super) fn mutate(admit: &Admit<'_>, pod: &mut Value) -> Result<(), Status> {
    let wanted = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let class = if wanted.is_empty() {
        // Of several defaults the lowest counts.
        admit
            .view
            .list::<PriorityClass>()
            .filter(|class| class.global_default == Some(true))
            .min_by_key(|class| class.value)
    } else {
        let class = admit.view.get::<PriorityClass>("", &wanted);
        Some(class.ok_or_else(|| admit.forbidden(pod, &format!("no PriorityClass with name {wanted} was found")))?)
    };
    let value = class.and_then(|class| class.value).unwrap_or_default();
    if let Some(sent) = pod["spec"]["priority"].as_i64().filter(|sent| *sent != i64::from(value)) {
        return Err(admit.forbidden(pod, &format!(
            "the integer value of priority ({sent}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        )));
    }
    pod["spec"]["priority"] = json!(value);
    if let Some(class) = class {
        pod["spec"]["priorityClassName"] = json!(class.metadata.name);
    }
    let policy = class.and_then(|class| class.preemption_policy.as_deref()).unwrap_or("PreemptLowerPriority");
    if pod["spec"]["preemptionPolicy"].is_null() {
        pod["spec"]["preemptionPolicy"] = json!(policy);
    } else if pod["spec"]["preemptionPolicy"] != policy {
        let sent = pod["spec"]["preemptionPolicy"].as_str().unwrap_or_default();
        return Err(admit.forbidden(pod, &format!(
            "the string value of PreemptionPolicy ({sent}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        )));
    }
    Ok(())
}

/// Only one class is the default, and only the system's own are above a billion.
pub(super) fn check_class(admit: &Admit<'_>, class: &Value) -> Result<(), Status> {
    let name = class["metadata"]["name"].as_str().unwrap_or_default();
    let value = class["value"].as_i64().unwrap_or_default();
    if value > i64::from(HIGHEST_USER) && !name.starts_with("system-") {
        return Err(
            admit.forbidden(class, &format!("maximum allowed value of a user defined priority is {HIGHEST_USER}"))
        );
    }
    if class["globalDefault"] != true {
        return Ok(());
    }
    let other = admit
        .view
        .list::<PriorityClass>()
        .filter(|other| other.global_default == Some(true))
        .find_map(|other| other.metadata.name.as_deref().filter(|other| *other != name));
    match other {
        Some(other) => Err(admit.forbidden(
            class,
            &format!("PriorityClass {other} is already marked as default. Only one default can exist"),
        )),
        None => Ok(()),
    }
}
