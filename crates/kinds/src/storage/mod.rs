//! The group `storage.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

pub mod storage_class;

use api::{KindDef, Rules};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment, VolumeAttributesClass};

/// `CSIDriver`.
pub const CSI_DRIVER: KindDef = KindDef::cluster::<CSIDriver>(&Rules::NONE);

/// `CSINode`.
pub const CSI_NODE: KindDef = KindDef::cluster::<CSINode>(&Rules::NONE);

/// `CSIStorageCapacity`.
pub const CSI_STORAGE_CAPACITY: KindDef = KindDef::namespaced::<CSIStorageCapacity>(&Rules::NONE);

/// `VolumeAttachment`.
pub const VOLUME_ATTACHMENT: KindDef = KindDef::cluster::<VolumeAttachment>(&Rules::NONE).with_status();

/// `VolumeAttributesClass`.
pub const VOLUME_ATTRIBUTES_CLASS: KindDef = KindDef::cluster::<VolumeAttributesClass>(&Rules::NONE).short(&["vac"]);
