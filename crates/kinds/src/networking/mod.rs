//! The group `networking.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

pub mod ingress;
pub mod network_policy;

use api::{KindDef, Rules};
use k8s_openapi::api::networking::v1::{IPAddress, IngressClass, ParentReference, ServiceCIDR};
use serde_json::Value;

use crate::table::{NONE, age, list_or, name, string, text};

/// `IngressClass`.
pub const INGRESS_CLASS: KindDef = {
    const RULES: Rules<IngressClass> = Rules {
        columns: &[
            name(),
            string("Controller", |class, _| text(&class.spec.as_ref().and_then(|spec| spec.controller.clone()))),
            string("Parameters", |class, _| Value::from(parameters(class))),
            age(),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).with_generation()
};

/// `IPAddress`.
pub const IP_ADDRESS: KindDef = {
    const RULES: Rules<IPAddress> = Rules {
        columns: &[name(), string("ParentRef", |address, _| Value::from(parent(&address.spec.parent_ref)))],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).short(&["ip"])
};

/// `ServiceCIDR`.
pub const SERVICE_CIDR: KindDef = {
    const RULES: Rules<ServiceCIDR> = Rules {
        columns: &[
            name(),
            string("CIDRs", |cidr, _| list_or(&cidr.spec.as_ref().and_then(|spec| spec.cidrs.clone()), "")),
            age(),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).with_status()
};

fn parameters(class: &IngressClass) -> String {
    let Some(parameters) = class.spec.as_ref().and_then(|spec| spec.parameters.as_ref()) else {
        return NONE.to_owned();
    };
    let group = parameters.api_group.as_ref().map_or_else(String::new, |group| format!(".{group}"));
    format!("{}{group}/{}", parameters.kind, parameters.name)
}

fn parent(reference: &ParentReference) -> String {
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let group = some(&reference.group).map_or_else(String::new, |group| format!(".{group}"));
    let namespace = some(&reference.namespace).map_or_else(String::new, |namespace| format!("{namespace}/"));
    format!("{}/{namespace}{}", format!("{}{group}", reference.resource).to_lowercase(), reference.name)
}
