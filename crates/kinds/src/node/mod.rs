//! The group `node.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::node::v1::RuntimeClass;

/// `RuntimeClass`.
pub const RUNTIME_CLASS: KindDef = KindDef::cluster::<RuntimeClass>(&Rules::NONE);
