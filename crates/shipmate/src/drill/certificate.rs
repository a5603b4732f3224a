//! A certificate for the drill's registry, of an authority that nobody trusts yet.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use super::Stage;

/// File of the authority's certificate, in the drill's directory.
pub(super) const AUTHORITY: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";

/// Files of a certificate.
pub(super) struct Files {
    /// The certificate.
    pub(super) certificate: String,
    /// Its key.
    pub(super) key: String,
}

/// Makes an authority and a certificate of it, by a clock that runs this many hours ahead.
pub(super) fn make(stage: &Stage, hours_ahead: u32) -> anyhow::Result<Files> {
    let key = KeyPair::generate()?;
    write(stage, AUTHORITY_KEY, &key.serialize_pem())?;
    write(stage, AUTHORITY, &authority()?.self_signed(&key)?.pem())?;
    sign(stage, &key, hours_ahead)
}

/// Makes the certificate anew, of the same authority, by the right clock.
pub(super) fn renew(stage: &Stage) -> anyhow::Result<Files> {
    let path = stage.dir()?.join(AUTHORITY_KEY);
    let key = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    sign(stage, &KeyPair::from_pem(&key)?, 0)
}

fn authority() -> anyhow::Result<CertificateParams> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "Drill Authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(authority)
}

fn sign(stage: &Stage, authority_key: &KeyPair, hours_ahead: u32) -> anyhow::Result<Files> {
    let hour = Duration::from_secs(3600);
    // Valid from a minute ago, by that clock.
    let from = SystemTime::now() + hour * hours_ahead - Duration::from_secs(60);
    let mut leaf = CertificateParams::new(Vec::new())?;
    leaf.distinguished_name.push(DnType::CommonName, "registry");
    leaf.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(stage.address(1)?))];
    leaf.not_before = from.into();
    leaf.not_after = (from + hour * 24 * 90).into();
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &Issuer::from_params(&authority()?, authority_key))?;
    Ok(Files {
        certificate: write(stage, "registry.crt", &certificate.pem())?,
        key: write(stage, "registry.key", &key.serialize_pem())?,
    })
}

fn write(stage: &Stage, name: &str, text: &str) -> anyhow::Result<String> {
    let path = stage.dir()?.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path.display().to_string())
}
