//! The group `storage.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

pub mod storage_class;

use api::{Column, KindDef, Rules};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment, VolumeAttributesClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::table::{NONE, UNSET, age, boolean, integer, list_or, name, string, text, text_or};

/// `CSIDriver`.
pub const CSI_DRIVER: KindDef = {
    const RULES: Rules<CSIDriver> = Rules {
        columns: &[
            name(),
            boolean("AttachRequired", |driver, _| Value::from(driver.spec.attach_required.unwrap_or(true))),
            boolean("PodInfoOnMount", |driver, _| Value::from(driver.spec.pod_info_on_mount.unwrap_or_default())),
            boolean("StorageCapacity", |driver, _| Value::from(driver.spec.storage_capacity.unwrap_or_default())),
            string("TokenRequests", |driver, _| {
                let requests = driver.spec.token_requests.as_ref();
                let audiences = requests.map(|all| all.iter().map(|one| one.audience.as_str()).collect::<Vec<_>>());
                Value::from(audiences.map_or_else(|| UNSET.to_owned(), |audiences| audiences.join(",")))
            }),
            boolean("RequiresRepublish", |driver, _| Value::from(driver.spec.requires_republish.unwrap_or_default())),
            string("Modes", |driver, _| list_or(&driver.spec.volume_lifecycle_modes, NONE)),
            age(),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES)
};

/// `CSINode`.
pub const CSI_NODE: KindDef = {
    const RULES: Rules<CSINode> = Rules {
        columns: &[name(), integer("Drivers", |node, _| Value::from(node.spec.drivers.len())), age()],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES)
};

/// `CSIStorageCapacity`.
pub const CSI_STORAGE_CAPACITY: KindDef = {
    const RULES: Rules<CSIStorageCapacity> = Rules {
        columns: &[
            name(),
            string("StorageClassName", |capacity, _| Value::from(capacity.storage_class_name.as_str())),
            string("Capacity", |capacity, _| {
                text_or(&capacity.capacity.as_ref().map(|amount| amount.0.clone()), UNSET)
            }),
        ],
        ..Rules::NONE
    };
    KindDef::namespaced(&RULES)
};

/// `VolumeAttachment`.
pub const VOLUME_ATTACHMENT: KindDef = {
    const RULES: Rules<VolumeAttachment> = Rules {
        columns: &[
            name(),
            string("Attacher", |attachment, _| Value::from(attachment.spec.attacher.as_str())),
            string("PV", |attachment, _| text(&attachment.spec.source.persistent_volume_name)),
            string("Node", |attachment, _| Value::from(attachment.spec.node_name.as_str())),
            boolean("Attached", |attachment, _| {
                Value::from(attachment.status.as_ref().is_some_and(|status| status.attached))
            }),
            age(),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).with_status()
};

/// `VolumeAttributesClass`.
pub const VOLUME_ATTRIBUTES_CLASS: KindDef = {
    const RULES: Rules<VolumeAttributesClass> = Rules {
        columns: &[
            Column { cell: |class, _| default_marked(&class.metadata, IS_DEFAULT_ATTRIBUTES), ..name() },
            string("DriverName", |class, _| Value::from(class.driver_name.as_str())),
            age(),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).short(&["vac"])
};

const IS_DEFAULT_ATTRIBUTES: &[&str] = &["volumeattributesclass.alpha.kubernetes.io/is-default-class"];

/// The name of a class, marked when annotations make it the default.
fn default_marked(metadata: &ObjectMeta, annotations: &[&str]) -> Value {
    let set =
        |name: &&str| metadata.annotations.as_ref().and_then(|all| all.get(*name)).is_some_and(|set| set == "true");
    let name = metadata.name.as_deref().unwrap_or_default();
    Value::from(if annotations.iter().any(set) { format!("{name} (default)") } else { name.to_owned() })
}
