//! A request never changes; it is approved or denied, not both.

use api::{FieldErrors, Path};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

use crate::checks;

/// The shortest life of a certificate that can be asked for.
const SECONDS_MIN: i32 = 600;

const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

fn has(request: &CertificateSigningRequest, kind: &str) -> bool {
    let conditions = request.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == kind)
}

/// What became of a request, as a cell.
pub fn state(request: &CertificateSigningRequest) -> String {
    let mut state = match () {
        () if has(request, "Denied") => "Denied",
        () if has(request, "Approved") => "Approved",
        () => "Pending",
    }
    .to_owned();
    if has(request, "Failed") {
        state.push_str(",Failed");
    }
    let certificate = request.status.as_ref().and_then(|status| status.certificate.as_ref());
    if certificate.is_some_and(|certificate| !certificate.0.is_empty()) {
        state.push_str(",Issued");
    }
    state
}

/// Reports everything that is wrong.
pub fn validate(
    request: &CertificateSigningRequest,
    old: Option<&CertificateSigningRequest>,
    errors: &mut FieldErrors,
) {
    let (spec, path) = (&request.spec, Path::new("spec"));
    if spec.request.0.is_empty() {
        errors.required(&path.child("request"), "");
    }
    let usages = spec.usages.as_deref().unwrap_or_default();
    if usages.is_empty() {
        errors.required(&path.child("usages"), "");
    }
    for (index, usage) in usages.iter().enumerate() {
        let path = path.child("usages").index(index);
        if !USAGES.contains(&usage.as_str()) {
            errors.not_supported(&path, usage.as_str(), USAGES);
        }
        if usages[..index].contains(usage) {
            errors.duplicate(&path, usage.as_str());
        }
    }
    signer_name(&spec.signer_name, &path.child("signerName"), errors);
    if let Some(seconds) = spec.expiration_seconds.filter(|seconds| *seconds < SECONDS_MIN) {
        let why = format!("may not specify a duration less than {SECONDS_MIN} seconds (10 minutes)");
        errors.invalid(&path.child("expirationSeconds"), seconds, &why);
    }
    if has(request, "Approved") && has(request, "Denied") {
        let path = Path::new("status").child("conditions");
        errors.invalid(&path, "", "Approved and Denied conditions are mutually exclusive");
    }
    if let Some(old) = old {
        errors.immutable(&path, spec, &old.spec, checks::json(spec));
    }
}

/// `domain/path`: who should sign.
fn signer_name(name: &str, path: &Path, errors: &mut FieldErrors) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    let Some((domain, rest)) = name.split_once('/').filter(|(_, rest)| !rest.is_empty() && !rest.contains('/')) else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return errors.invalid(path, name, why);
    };
    checks::name(errors, path, domain, checks::SUBDOMAIN);
    checks::name(errors, path, rest, checks::SUBDOMAIN);
    if !domain.contains('.') {
        errors.invalid(path, name, "should be a domain with at least two segments separated by dots");
    }
}
