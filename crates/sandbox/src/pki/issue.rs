//! One certificate: what it shall say, its making, and whether an old one still does.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType,
};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::{ParsedExtension, X509Certificate};

use super::{KeyFiles, RENEW_DAYS};
use crate::{Error, Result};

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Authority,
    Server,
    Client,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    common_name: String,
    organizations: Vec<String>,
    usage: Usage,
    dns_names: Vec<String>,
    ips: Vec<IpAddr>,
}

impl Profile {
    pub(super) fn new(common_name: &str, organizations: &[&str], usage: Usage) -> Self {
        Self {
            common_name: common_name.to_owned(),
            organizations: organizations.iter().map(|name| (*name).to_owned()).collect(),
            usage,
            dns_names: Vec::new(),
            ips: Vec::new(),
        }
    }

    pub(super) fn authority(common_name: &str) -> Self {
        Self::new(common_name, &[], Usage::Authority)
    }

    pub(super) fn with_names(mut self, dns_names: Vec<String>, ips: Vec<IpAddr>) -> Self {
        self.dns_names = dns_names;
        self.ips = ips;
        self
    }

    fn params(&self, today: Date, days: i64) -> Result<CertificateParams> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for organization in &self.organizations {
            params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
        }
        params.distinguished_name.push(DnType::CommonName, self.common_name.as_str());
        for name in &self.dns_names {
            let name = name.as_str().try_into().map_err(failed(format!("put {name:?} into a certificate")))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(self.ips.iter().copied().map(SanType::IpAddress));
        // A day of tolerance for clocks that are behind.
        let ((year, month, day), end) = (later(today, (-1).days())?, later(today, days.days())?);
        params.not_before = rcgen::date_time_ymd(year, month, day);
        params.not_after = rcgen::date_time_ymd(end.0, end.1, end.2);
        match self.usage {
            Usage::Authority => {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                params.key_usages =
                    vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            }
            Usage::Server | Usage::Client => {
                params.is_ca = IsCa::ExplicitNoCa;
                params.use_authority_key_identifier_extension = true;
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                params.extended_key_usages = vec![match self.usage {
                    Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
                    _ => ExtendedKeyUsagePurpose::ClientAuth,
                }];
            }
        }
        Ok(params)
    }
}

/// A new self-signed authority: certificate and key, PEM.
pub(super) fn authority(profile: &Profile, today: Date, days: i64) -> Result<(String, String)> {
    let failed = || failed(format!("make the certificate {}", profile.common_name));
    let key = KeyPair::generate().map_err(failed())?;
    let certificate = profile.params(today, days)?.self_signed(&key).map_err(failed())?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// A new certificate with a new key, PEM.
pub(super) fn leaf(
    profile: &Profile,
    issuer: &Issuer<'_, KeyPair>,
    today: Date,
    days: i64,
) -> Result<(String, String)> {
    let failed = || failed(format!("make the certificate {}", profile.common_name));
    let key = KeyPair::generate().map_err(failed())?;
    let certificate = profile.params(today, days)?.signed_by(&key, issuer).map_err(failed())?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Whether the files hold a certificate that says what it shall, for long
/// enough, signed by this authority, and its key.
pub(super) fn acceptable(files: &KeyFiles, profile: &Profile, authority: &str, today: Date) -> bool {
    let check = || -> Option<bool> {
        let own = first_pem(&fs::read_to_string(&files.certificate).ok()?)?;
        let own = own.parse_x509().ok()?;
        let authority = first_pem(authority)?;
        let authority = authority.parse_x509().ok()?;
        let key = KeyPair::from_pem(&fs::read_to_string(&files.key).ok()?).ok()?;
        let renewal = seconds(today, RENEW_DAYS.days())?;
        Some(
            own.public_key().subject_public_key.data.as_ref() == key.der_bytes()
                && own.validity().not_after.timestamp() >= renewal
                && own.validity().not_before.timestamp() <= seconds(today, 1.days())?
                && signed_by(&own, &authority, profile.usage)
                && says(&own, profile),
        )
    };
    check().unwrap_or(false)
}

/// By key identifier: enough to notice an exchanged authority (RFC 5280, 4.2.1.1).
fn signed_by(own: &X509Certificate<'_>, authority: &X509Certificate<'_>, usage: Usage) -> bool {
    let subject_key = |certificate: &X509Certificate<'_>| {
        certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
    };
    let authority_key = own.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    });
    match usage {
        Usage::Authority => own.is_ca(),
        _ => authority_key.is_some() && authority_key == subject_key(authority),
    }
}

fn says(own: &X509Certificate<'_>, profile: &Profile) -> bool {
    let text = |value: &x509_parser::x509::AttributeTypeAndValue<'_>| value.as_str().unwrap_or_default().to_owned();
    let subject = own.subject();
    let common_names: Vec<String> = subject.iter_common_name().map(text).collect();
    let organizations: Vec<String> = subject.iter_organization().map(text).collect();
    let mut names = BTreeSet::new();
    if let Ok(Some(extension)) = own.subject_alternative_name() {
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.insert((*name).to_owned()),
                GeneralName::IPAddress(bytes) => names.insert(ip_text(bytes)),
                _ => false,
            };
        }
    }
    let wanted: BTreeSet<String> =
        profile.dns_names.iter().cloned().chain(profile.ips.iter().map(IpAddr::to_string)).collect();
    common_names == [profile.common_name.clone()] && organizations == profile.organizations && names == wanted
}

fn ip_text(bytes: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let ip = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    ip.map_or_else(|_| String::new(), |ip| ip.to_string())
}

fn first_pem(text: &str) -> Option<Pem> {
    Pem::iter_from_buffer(text.as_bytes()).next()?.ok()
}

/// A day some days from another, as the certificate library wants it.
fn later(day: Date, distance: Span) -> Result<(i32, u8, u8)> {
    let day = day.checked_add(distance).map_err(failed("compute a date".to_owned()))?;
    let number = |value: i8| u8::try_from(value).unwrap_or(1);
    Ok((day.year().into(), number(day.month()), number(day.day())))
}

/// Seconds since 1970 at midnight (UTC) of a day some days from another.
fn seconds(day: Date, distance: Span) -> Option<i64> {
    let day = day.checked_add(distance).ok()?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Whether a host name may stand in a certificate.
pub(super) fn is_dns_name(name: &str) -> bool {
    let legal =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    name.len() < 254 && name.split('.').all(legal)
}

/// Adapter for `map_err` on the certificate libraries.
pub(super) fn failed<E: std::fmt::Display>(action: String) -> impl FnOnce(E) -> Error {
    move |error| Error::Pki { action, reason: error.to_string() }
}
