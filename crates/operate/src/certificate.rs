//! What a certificate says of itself, printed as `openssl x509` prints it: that is the form that rules and people know.

use jiff::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Certificates of one file that are told: chains are short, and bundles of authorities are no evidence.
const MOST: usize = 8;

/// Subject, issuer, dates and names of the certificates in a PEM text; empty if there is none that can be read.
pub fn facts(pem: &[u8]) -> String {
    let blocks = x509_parser::pem::Pem::iter_from_buffer(pem);
    let readable = blocks.filter_map(Result::ok).filter(|block| block.label == "CERTIFICATE");
    let told = readable.filter_map(|block| {
        let (_, certificate) = X509Certificate::from_der(&block.contents).ok()?;
        Some(of(&certificate))
    });
    told.take(MOST).collect()
}

fn of(certificate: &X509Certificate<'_>) -> String {
    let name = |name: &x509_parser::x509::X509Name<'_>| name.to_string().replace('=', " = ");
    let mut text = format!(
        "subject={}\nissuer={}\nnotBefore={}\nnotAfter={}\n",
        name(certificate.subject()),
        name(certificate.issuer()),
        date(certificate.validity().not_before.timestamp()),
        date(certificate.validity().not_after.timestamp()),
    );
    let names = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<String> =
        names.into_iter().flat_map(|found| &found.value.general_names).filter_map(alternative).collect();
    if !names.is_empty() {
        text.push_str(&format!("X509v3 Subject Alternative Name:\n    {}\n", names.join(", ")));
    }
    text
}

fn alternative(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(std::net::IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
            address.ok().map(|address| format!("IP Address:{address}"))
        }
        _ => None,
    }
}

/// `Apr  7 08:04:00 2025 GMT`.
fn date(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%b %e %H:%M:%S %Y GMT").to_string(),
        Err(_) => format!("{seconds} s after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_its_names_and_dates() {
        let mut parameters =
            rcgen::CertificateParams::new(["api.example.org".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2024, 4, 7);
        parameters.not_after = rcgen::date_time_ymd(2025, 4, 7);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "kubernetes-admin");
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        let told = facts(pem.as_bytes());
        assert!(told.contains("CN = kubernetes-admin"), "{told}");
        assert!(told.contains("notBefore=Apr  7 00:00:00 2024 GMT\nnotAfter=Apr  7 00:00:00 2025 GMT\n"), "{told}");
        assert!(told.contains("DNS:api.example.org, IP Address:10.0.0.1"), "{told}");
        assert_eq!(facts(b"no certificate"), "");
    }
}
