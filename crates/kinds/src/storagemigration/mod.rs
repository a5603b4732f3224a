//! The group `storagemigration.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::storagemigration::v1::StorageVersionMigration;
use serde_json::Value;

use crate::table::{name, string};

/// `StorageVersionMigration`.
pub const STORAGE_VERSION_MIGRATION: KindDef = {
    const RULES: Rules<StorageVersionMigration> = Rules {
        columns: &[
            name(),
            string("Resource", |migration, _| {
                let resource = migration.spec.as_ref().map(|spec| &spec.resource);
                Value::from(resource.map_or_else(String::new, |resource| {
                    if resource.group.is_empty() {
                        resource.resource.clone()
                    } else {
                        format!("{}.{}", resource.resource, resource.group)
                    }
                }))
            }),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).with_status()
};
