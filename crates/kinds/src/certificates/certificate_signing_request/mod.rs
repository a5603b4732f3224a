//! A request for a certificate, and what became of it.

use api::{KindDef, Rules};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<CertificateSigningRequest>(&Rules::NONE)
    .short(&["csr"])
    .with_status()
    .select_by(&["spec.signerName"]);
