//! The group `admissionregistration.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ParamKind, ParamRef,
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use serde_json::Value;

use crate::table::{UNSET, age, integer, name, selector, string, text};

/// `MutatingAdmissionPolicy`.
pub const MUTATING_ADMISSION_POLICY: KindDef = {
    const RULES: Rules<MutatingAdmissionPolicy> = Rules {
        columns: &[
            name(),
            integer("Mutations", |policy, _| {
                Value::from(policy.spec.as_ref().and_then(|spec| spec.mutations.as_ref()).map_or(0, Vec::len))
            }),
            string("ParamKind", |policy, _| param_kind(policy.spec.as_ref().and_then(|spec| spec.param_kind.as_ref()))),
            age(),
        ],
        ..Rules::NONE
    };
    crate::api_extension(KindDef::cluster(&RULES).with_generation())
};

/// `MutatingAdmissionPolicyBinding`.
pub const MUTATING_ADMISSION_POLICY_BINDING: KindDef = {
    const RULES: Rules<MutatingAdmissionPolicyBinding> = Rules {
        columns: &[
            name(),
            string("PolicyName", |binding, _| text(&binding.spec.as_ref().and_then(|spec| spec.policy_name.clone()))),
            string("ParamRef", |binding, _| param_ref(binding.spec.as_ref().and_then(|spec| spec.param_ref.as_ref()))),
            age(),
        ],
        ..Rules::NONE
    };
    crate::api_extension(KindDef::cluster(&RULES).with_generation())
};

/// `MutatingWebhookConfiguration`.
pub const MUTATING_WEBHOOK_CONFIGURATION: KindDef = {
    const RULES: Rules<MutatingWebhookConfiguration> = Rules {
        columns: &[
            name(),
            integer("Webhooks", |config, _| Value::from(config.webhooks.as_ref().map_or(0, Vec::len))),
            age(),
        ],
        ..Rules::NONE
    };
    crate::api_extension(KindDef::cluster(&RULES).with_generation())
};

/// `ValidatingAdmissionPolicy`.
pub const VALIDATING_ADMISSION_POLICY: KindDef = {
    const RULES: Rules<ValidatingAdmissionPolicy> = Rules {
        columns: &[
            name(),
            integer("Validations", |policy, _| {
                Value::from(policy.spec.as_ref().and_then(|spec| spec.validations.as_ref()).map_or(0, Vec::len))
            }),
            string("ParamKind", |policy, _| param_kind(policy.spec.as_ref().and_then(|spec| spec.param_kind.as_ref()))),
            age(),
        ],
        ..Rules::NONE
    };
    crate::api_extension(KindDef::cluster(&RULES).with_status().with_generation())
};

/// `ValidatingAdmissionPolicyBinding`.
pub const VALIDATING_ADMISSION_POLICY_BINDING: KindDef = {
    const RULES: Rules<ValidatingAdmissionPolicyBinding> = Rules {
        columns: &[
            name(),
            string("PolicyName", |binding, _| Value::from(binding.spec.policy_name.as_str())),
            string("ParamRef", |binding, _| param_ref(binding.spec.param_ref.as_ref())),
            age(),
        ],
        ..Rules::NONE
    };
    crate::api_extension(KindDef::cluster(&RULES).with_generation())
};

/// `ValidatingWebhookConfiguration`.
pub const VALIDATING_WEBHOOK_CONFIGURATION: KindDef = {
    const RULES: Rules<ValidatingWebhookConfiguration> = Rules {
        columns: &[
            name(),
            integer("Webhooks", |config, _| Value::from(config.webhooks.as_ref().map_or(0, Vec::len))),
            age(),
        ],
        ..Rules::NONE
    };
    crate::api_extension(KindDef::cluster(&RULES).with_generation())
};

fn param_kind(kind: Option<&ParamKind>) -> Value {
    let Some(kind) = kind else { return Value::from(UNSET) };
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    Value::from(format!("{}/{}", part(&kind.api_version), part(&kind.kind)))
}

fn param_ref(reference: Option<&ParamRef>) -> Value {
    let Some(reference) = reference else { return Value::from(UNSET) };
    match (reference.name.as_deref().filter(|name| !name.is_empty()), &reference.selector) {
        (Some(name), _) => {
            let namespace = reference.namespace.as_deref().filter(|namespace| !namespace.is_empty());
            Value::from(format!("{}/{name}", namespace.unwrap_or("*")))
        }
        (None, Some(labels)) => Value::from(selector(Some(labels))),
        (None, None) => Value::from(UNSET),
    }
}
