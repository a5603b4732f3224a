//! A way in which volumes are made.

use api::{KindDef, Rules};
use k8s_openapi::api::storage::v1::StorageClass;

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<StorageClass>(&Rules::NONE).short(&["sc"]);
