//! The group `certificates.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

pub mod certificate_signing_request;

use api::{KindDef, Rules};
use k8s_openapi::api::certificates::v1::{ClusterTrustBundle, PodCertificateRequest};

use crate::table::{NONE, name, string, text_or};

/// `ClusterTrustBundle`.
pub const CLUSTER_TRUST_BUNDLE: KindDef = {
    const RULES: Rules<ClusterTrustBundle> = Rules {
        columns: &[name(), string("SignerName", |bundle, _| text_or(&bundle.spec.signer_name, NONE))],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).select_by(&["spec.signerName"])
};

/// `PodCertificateRequest`.
pub const POD_CERTIFICATE_REQUEST: KindDef = KindDef::namespaced::<PodCertificateRequest>(&Rules::NONE).with_status();
