//! The group `admissionregistration.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};

/// `MutatingAdmissionPolicy`.
pub const MUTATING_ADMISSION_POLICY: KindDef =
    crate::api_extension(KindDef::cluster::<MutatingAdmissionPolicy>(&Rules::NONE).with_generation());

/// `MutatingAdmissionPolicyBinding`.
pub const MUTATING_ADMISSION_POLICY_BINDING: KindDef =
    crate::api_extension(KindDef::cluster::<MutatingAdmissionPolicyBinding>(&Rules::NONE).with_generation());

/// `MutatingWebhookConfiguration`.
pub const MUTATING_WEBHOOK_CONFIGURATION: KindDef =
    crate::api_extension(KindDef::cluster::<MutatingWebhookConfiguration>(&Rules::NONE).with_generation());

/// `ValidatingAdmissionPolicy`.
pub const VALIDATING_ADMISSION_POLICY: KindDef =
    crate::api_extension(KindDef::cluster::<ValidatingAdmissionPolicy>(&Rules::NONE).with_status().with_generation());

/// `ValidatingAdmissionPolicyBinding`.
pub const VALIDATING_ADMISSION_POLICY_BINDING: KindDef =
    crate::api_extension(KindDef::cluster::<ValidatingAdmissionPolicyBinding>(&Rules::NONE).with_generation());

/// `ValidatingWebhookConfiguration`.
pub const VALIDATING_WEBHOOK_CONFIGURATION: KindDef =
    crate::api_extension(KindDef::cluster::<ValidatingWebhookConfiguration>(&Rules::NONE).with_generation());
