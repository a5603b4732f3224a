//! The group `storagemigration.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::storagemigration::v1::StorageVersionMigration;

/// `StorageVersionMigration`.
pub const STORAGE_VERSION_MIGRATION: KindDef = KindDef::cluster::<StorageVersionMigration>(&Rules::NONE).with_status();
