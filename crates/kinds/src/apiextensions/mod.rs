//! The group `apiextensions.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::table::{created_at, name};

/// `CustomResourceDefinition`.
pub const CUSTOM_RESOURCE_DEFINITION: KindDef = {
    const RULES: Rules<CustomResourceDefinition> = Rules { columns: &[name(), created_at()], ..Rules::NONE };
    crate::api_extension(KindDef::cluster(&RULES).short(&["crd", "crds"]).with_status().with_generation())
};
