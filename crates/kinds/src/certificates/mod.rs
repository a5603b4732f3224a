//! The group `certificates.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

pub mod certificate_signing_request;

use api::{KindDef, Rules};
use k8s_openapi::api::certificates::v1::{ClusterTrustBundle, PodCertificateRequest};

/// `ClusterTrustBundle`.
pub const CLUSTER_TRUST_BUNDLE: KindDef =
    KindDef::cluster::<ClusterTrustBundle>(&Rules::NONE).select_by(&["spec.signerName"]);

/// `PodCertificateRequest`.
pub const POD_CERTIFICATE_REQUEST: KindDef = KindDef::namespaced::<PodCertificateRequest>(&Rules::NONE).with_status();
