//! A way in which volumes are made.

mod rules;

use api::{Column, KindDef, Rules};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

use crate::table::{age, name, string, text_or};

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<StorageClass>(&RULES).short(&["sc"]);

const RULES: Rules<StorageClass> = Rules {
    defaults: rules::defaults,
    prepare: |_, _| {},
    validate: rules::validate,
    columns: &[
        Column { cell: |class, _| super::default_marked(&class.metadata, IS_DEFAULT), ..name() },
        string("Provisioner", |class, _| Value::from(class.provisioner.as_str())),
        string("ReclaimPolicy", |class, _| text_or(&class.reclaim_policy, "Delete")),
        string("VolumeBindingMode", |class, _| text_or(&class.volume_binding_mode, "Immediate")),
        string("AllowVolumeExpansion", |class, _| Value::from(class.allow_volume_expansion.unwrap_or_default())),
        age(),
    ],
};

/// Annotations that mark the class of claims that name none, the second one from before it was stable.
const IS_DEFAULT: &[&str] =
    &["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
