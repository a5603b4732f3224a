//! Checks that the validation of many kinds is made of, with the words of Kubernetes' validation.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::{FieldErrors, Path, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

/// Names that Kubernetes calls qualified: `[prefix/]name`.
pub const QUALIFIED: NameCheck = names::qualified_name;
/// RFC 1123 labels.
pub const LABEL: NameCheck = names::dns_label;
/// RFC 1123 subdomains: what most objects are called.
pub const SUBDOMAIN: NameCheck = names::dns_subdomain;

/// Says what is wrong with a name.
pub type NameCheck = fn(&str) -> Vec<String>;

/// Total bytes that annotations of one object may have.
const ANNOTATIONS_MAX: usize = 256 << 10;

/// Reports everything that is wrong with a name.
pub fn name(errors: &mut FieldErrors, path: &Path, name: &str, check: NameCheck) {
    for why in check(name) {
        errors.invalid(path, name, &why);
    }
}

/// Reports a name that is missing or wrong.
pub fn required_name(errors: &mut FieldErrors, path: &Path, value: Option<&str>, check: NameCheck) {
    match value {
        None | Some("") => errors.required(path, ""),
        Some(value) => name(errors, path, value, check),
    }
}

/// One of the known words.
pub fn one_of(errors: &mut FieldErrors, path: &Path, value: Option<&str>, known: &[&str]) {
    match value {
        None | Some("") => errors.required(path, ""),
        Some(value) if known.contains(&value) => {}
        Some(value) => errors.not_supported(path, value, known),
    }
}

/// One of the known words, or nothing.
pub fn maybe_one_of(errors: &mut FieldErrors, path: &Path, value: Option<&str>, known: &[&str]) {
    if value.is_some() {
        one_of(errors, path, value, known);
    }
}

/// Zero or more.
pub fn not_negative(errors: &mut FieldErrors, path: &Path, value: impl Into<i64>) {
    let value = value.into();
    if value < 0 {
        errors.invalid(path, value, "must be greater than or equal to 0");
    }
}

/// Zero or more, when set.
pub fn maybe_not_negative(errors: &mut FieldErrors, path: &Path, value: Option<impl Into<i64>>) {
    if let Some(value) = value {
        not_negative(errors, path, value);
    }
}

/// One or more.
pub fn positive(errors: &mut FieldErrors, path: &Path, value: impl Into<i64>) {
    let value = value.into();
    if value <= 0 {
        errors.invalid(path, value, "must be greater than zero");
    }
}

/// Within bounds, both of which are allowed.
pub fn within(errors: &mut FieldErrors, path: &Path, value: i64, low: i64, high: i64) {
    if value < low || value > high {
        errors.invalid(path, value, &format!("must be between {low} and {high}, inclusive"));
    }
}

/// A TCP or UDP port number.
pub fn port(errors: &mut FieldErrors, path: &Path, value: i32) {
    within(errors, path, value.into(), 1, 65_535);
}

/// A port number or the name of a port.
pub fn port_or_name(errors: &mut FieldErrors, path: &Path, value: &IntOrString) {
    match value {
        IntOrString::Int(number) => port(errors, path, *number),
        IntOrString::String(text) => name(errors, path, text, names::port_name),
    }
}

/// A protocol of the transport layer.
pub fn protocol(errors: &mut FieldErrors, path: &Path, value: Option<&str>) {
    one_of(errors, path, value, &["SCTP", "TCP", "UDP"]);
}

/// Keys and values of labels.
pub fn labels(errors: &mut FieldErrors, path: &Path, labels: Option<&BTreeMap<String, String>>) {
    for (key, value) in labels.into_iter().flatten() {
        name(errors, path, key, QUALIFIED);
        name(errors, path, value, names::label_value);
    }
}

/// Keys and total size of annotations.
pub fn annotations(errors: &mut FieldErrors, path: &Path, annotations: Option<&BTreeMap<String, String>>) {
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        for why in names::qualified_name(&key.to_lowercase()) {
            errors.invalid(path, key.as_str(), &why);
        }
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_MAX {
        errors.too_long(path, ANNOTATIONS_MAX);
    }
}

/// The parts of a label selector.
pub fn selector(errors: &mut FieldErrors, path: &Path, selector: &LabelSelector) {
    labels(errors, &path.child("matchLabels"), selector.match_labels.as_ref());
    for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
        let path = path.child("matchExpressions").index(index);
        let values = expression.values.as_deref().unwrap_or_default();
        let values_path = path.child("values");
        match (expression.operator.as_str(), values.is_empty()) {
            ("In" | "NotIn", false) | ("Exists" | "DoesNotExist", true) => {}
            ("In" | "NotIn", true) => {
                errors.required(&values_path, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            ("Exists" | "DoesNotExist", false) => {
                errors.forbidden(&values_path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
            }
            (other, _) => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
        }
        name(errors, &path.child("key"), &expression.key, QUALIFIED);
        for (index, value) in values.iter().enumerate() {
            name(errors, &values_path.index(index), value, names::label_value);
        }
    }
}

/// Whether a label selector asks for nothing.
pub fn selects_everything(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// A number of at least zero, or a percentage.
pub fn count_or_percent(errors: &mut FieldErrors, path: &Path, value: &IntOrString) {
    match value {
        IntOrString::Int(number) => not_negative(errors, path, *number),
        IntOrString::String(text) if percent(value).is_none() => errors.invalid(
            path,
            text.as_str(),
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
        IntOrString::String(_) => {}
    }
}

/// The number before the sign of a percentage.
pub fn percent(value: &IntOrString) -> Option<i32> {
    let IntOrString::String(text) = value else { return None };
    let digits = text.strip_suffix('%')?;
    digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// At most everything.
pub fn at_most_everything(errors: &mut FieldErrors, path: &Path, value: &IntOrString) {
    if percent(value).is_some_and(|percent| percent > 100) {
        errors.invalid(path, shown(value), "must not be greater than 100%");
    }
}

/// The number before the sign of a percentage, or the number.
pub fn amount(value: &IntOrString) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(_) => percent(value).unwrap_or_default(),
    }
}

/// A number or text as the JSON that it stands for.
pub fn shown(value: &IntOrString) -> Value {
    match value {
        IntOrString::Int(number) => Value::from(*number),
        IntOrString::String(text) => Value::from(text.as_str()),
    }
}

/// An IP address.
pub fn ip(errors: &mut FieldErrors, path: &Path, text: &str) -> Option<IpAddr> {
    let parsed = text.parse().ok();
    if parsed.is_none() {
        errors.invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
    parsed
}

/// A block of IP addresses.
pub fn cidr(errors: &mut FieldErrors, path: &Path, text: &str) {
    let good = text.split_once('/').is_some_and(|(address, length)| {
        let longest = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.parse::<u8>().is_ok_and(|length| length <= longest)
    });
    if !good {
        errors.invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
}

/// An address that traffic can be sent to: not unspecified, loopback or link-local.
pub fn usable_ip(errors: &mut FieldErrors, path: &Path, text: &str) {
    let Some(address) = ip(errors, path, text) else { return };
    let (link_local, link_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if address.is_unspecified() {
        errors.invalid(path, text, &format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        errors.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    if link_local {
        errors.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if link_local_multicast {
        errors.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// The JSON of a part of an object, to be shown in an error.
pub fn json<T: serde::Serialize>(part: &T) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}
