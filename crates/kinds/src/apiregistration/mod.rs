//! The group `apiregistration.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde_json::Value;

use crate::table::{age, name, string};

/// `APIService`.
pub const API_SERVICE: KindDef = {
    const RULES: Rules<APIService> = Rules {
        columns: &[
            name(),
            string("Service", |service, _| Value::from(provider(service))),
            string("Available", |service, _| Value::from(available(service))),
            age(),
        ],
        ..Rules::NONE
    };
    crate::api_extension(KindDef::cluster(&RULES).with_status())
};

/// Who serves the API: a service, or this API server itself.
fn provider(service: &APIService) -> String {
    let reference = service.spec.as_ref().and_then(|spec| spec.service.as_ref());
    reference.map_or_else(
        || "Local".to_owned(),
        |service| {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{}/{}", part(&service.namespace), part(&service.name))
        },
    )
}

fn available(service: &APIService) -> String {
    let conditions = service.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    match conditions.iter().find(|condition| condition.type_ == "Available") {
        Some(condition) if condition.status == "True" => "True".to_owned(),
        Some(condition) => format!("{} ({})", condition.status, condition.reason.as_deref().unwrap_or_default()),
        None => "Unknown".to_owned(),
    }
}
