//! Every kind that is served: what Kubernetes' structures do not tell about it.
//!
//! One folder per kind: `mod.rs` defines it, `rules.rs` has its defaults, its part of preparing a write and its
//! validation, `columns.rs` its table, `controller.rs` the plan that acts on it. Kinds that nothing acts on share
//! their group's `mod.rs`. The types are those of `k8s-openapi`; their structure is in [`schema`].
//!
//! Everything here is pure: no IO, no clock, no logging, no HTTP. What is asked about rather than stored (reviews,
//! `Binding`, `Eviction`, `Scale`, `TokenRequest`) is the server's.

pub mod admissionregistration;
pub mod apiextensions;
pub mod apiregistration;
pub mod apps;
pub mod autoscaling;
pub mod batch;
pub mod certificates;
mod checks;
mod controllers;
pub mod coordination;
pub mod core;
pub mod discovery;
pub mod flowcontrol;
pub mod networking;
pub mod node;
pub mod placement;
pub mod policy;
pub mod rbac;
pub mod resource;
pub mod scheduling;
pub mod schema;
pub mod storage;
pub mod storagemigration;
pub mod table;
mod value;
pub mod workload;

use api::kind::Alias;
use api::{Catalogue, ControllerDef, KindDef};

/// Every kind, group by group; the order numbers them.
pub const KINDS: &[KindDef] = &[
    core::COMPONENT_STATUS,
    core::config_map::KIND,
    core::endpoints::KIND,
    core::event::KIND,
    core::limit_range::KIND,
    core::namespace::KIND,
    core::node::KIND,
    core::persistent_volume::KIND,
    core::persistent_volume_claim::KIND,
    core::pod::KIND,
    core::pod_template::KIND,
    core::replication_controller::KIND,
    core::resource_quota::KIND,
    core::secret::KIND,
    core::service::KIND,
    core::service_account::KIND,
    admissionregistration::MUTATING_ADMISSION_POLICY,
    admissionregistration::MUTATING_ADMISSION_POLICY_BINDING,
    admissionregistration::MUTATING_WEBHOOK_CONFIGURATION,
    admissionregistration::VALIDATING_ADMISSION_POLICY,
    admissionregistration::VALIDATING_ADMISSION_POLICY_BINDING,
    admissionregistration::VALIDATING_WEBHOOK_CONFIGURATION,
    apiextensions::CUSTOM_RESOURCE_DEFINITION,
    apiregistration::API_SERVICE,
    apps::controller_revision::KIND,
    apps::daemon_set::KIND,
    apps::deployment::KIND,
    apps::replica_set::KIND,
    apps::stateful_set::KIND,
    autoscaling::horizontal_pod_autoscaler::KIND,
    batch::cron_job::KIND,
    batch::job::KIND,
    certificates::certificate_signing_request::KIND,
    certificates::CLUSTER_TRUST_BUNDLE,
    certificates::POD_CERTIFICATE_REQUEST,
    coordination::lease::KIND,
    discovery::endpoint_slice::KIND,
    flowcontrol::FLOW_SCHEMA,
    flowcontrol::PRIORITY_LEVEL_CONFIGURATION,
    networking::ingress::KIND,
    networking::INGRESS_CLASS,
    networking::IP_ADDRESS,
    networking::network_policy::KIND,
    networking::SERVICE_CIDR,
    node::RUNTIME_CLASS,
    policy::pod_disruption_budget::KIND,
    rbac::cluster_role::KIND,
    rbac::cluster_role_binding::KIND,
    rbac::role::KIND,
    rbac::role_binding::KIND,
    resource::DEVICE_CLASS,
    resource::DEVICE_TAINT_RULE,
    resource::RESOURCE_CLAIM,
    resource::RESOURCE_CLAIM_TEMPLATE,
    resource::RESOURCE_SLICE,
    scheduling::priority_class::KIND,
    storage::CSI_DRIVER,
    storage::CSI_NODE,
    storage::CSI_STORAGE_CAPACITY,
    storage::storage_class::KIND,
    storage::VOLUME_ATTACHMENT,
    storage::VOLUME_ATTRIBUTES_CLASS,
    storagemigration::STORAGE_VERSION_MIGRATION,
];

/// Further versions of stored kinds.
pub const ALIASES: &[Alias] = &[autoscaling::horizontal_pod_autoscaler::v1::ALIAS, core::event::events_v1::ALIAS];

/// The catalogue of all built-in kinds.
pub fn catalogue() -> Catalogue {
    Catalogue::new(KINDS, ALIASES)
}

/// Every controller of the built-in kinds.
pub fn controllers() -> &'static [ControllerDef] {
    controllers::CONTROLLERS
}

/// Puts a kind into the category of those that extend the API.
const fn api_extension(mut def: KindDef) -> KindDef {
    def.categories = &["api-extensions"];
    def
}
