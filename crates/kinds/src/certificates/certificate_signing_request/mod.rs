//! A request for a certificate, and what became of it.

mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::Value;

use crate::table::{NONE, age, name, string, text, text_or};

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::cluster::<CertificateSigningRequest>(&RULES).short(&["csr"]).with_status().select_by(&["spec.signerName"]);

const RULES: Rules<CertificateSigningRequest> = Rules {
    defaults: |_| {},
    prepare: crate::value::clear_status,
    validate: rules::validate,
    columns: &[
        name(),
        age(),
        string("SignerName", |request, _| text_or(&Some(request.spec.signer_name.clone()), NONE)),
        string("Requestor", |request, _| text(&request.spec.username)),
        string("RequestedDuration", |request, _| {
            let seconds = request.spec.expiration_seconds;
            Value::from(seconds.map_or_else(|| NONE.to_owned(), |seconds| api::human_duration(seconds.into())))
        }),
        string("Condition", |request, _| Value::from(rules::state(request))),
    ],
};
