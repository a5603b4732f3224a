//! The group `apiregistration.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

/// `APIService`.
pub const API_SERVICE: KindDef = crate::api_extension(KindDef::cluster::<APIService>(&Rules::NONE).with_status());
