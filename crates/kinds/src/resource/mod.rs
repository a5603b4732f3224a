//! The group `resource.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::resource::v1::{
    DeviceClass, DeviceTaintRule, ResourceClaim, ResourceClaimTemplate, ResourceSlice,
};

/// `DeviceClass`.
pub const DEVICE_CLASS: KindDef = KindDef::cluster::<DeviceClass>(&Rules::NONE).with_generation();

/// `DeviceTaintRule`.
pub const DEVICE_TAINT_RULE: KindDef =
    KindDef::cluster::<DeviceTaintRule>(&Rules::NONE).with_status().with_generation();

/// `ResourceClaim`.
pub const RESOURCE_CLAIM: KindDef = KindDef::namespaced::<ResourceClaim>(&Rules::NONE).with_status();

/// `ResourceClaimTemplate`.
pub const RESOURCE_CLAIM_TEMPLATE: KindDef = KindDef::namespaced::<ResourceClaimTemplate>(&Rules::NONE);

/// `ResourceSlice`.
pub const RESOURCE_SLICE: KindDef =
    KindDef::cluster::<ResourceSlice>(&Rules::NONE).with_generation().select_by(&["spec.nodeName", "spec.driver"]);
