//! The group `networking.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

pub mod ingress;
pub mod network_policy;

use api::{KindDef, Rules};
use k8s_openapi::api::networking::v1::{IPAddress, IngressClass, ServiceCIDR};

/// `IngressClass`.
pub const INGRESS_CLASS: KindDef = KindDef::cluster::<IngressClass>(&Rules::NONE).with_generation();

/// `IPAddress`.
pub const IP_ADDRESS: KindDef = KindDef::cluster::<IPAddress>(&Rules::NONE).short(&["ip"]);

/// `ServiceCIDR`.
pub const SERVICE_CIDR: KindDef = KindDef::cluster::<ServiceCIDR>(&Rules::NONE).with_status();
