//! What names may look like: RFC 1123 labels and subdomains, qualified names, label values.
//!
//! Each function returns what is wrong, in the words of Kubernetes' validation; an empty list is a good name.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const PORT_NAME: &str = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

fn lower(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn label_shaped(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = bytes.first().is_some_and(|c| lower(*c)) && bytes.last().is_some_and(|c| lower(*c));
    ends && bytes.iter().all(|c| lower(*c) || *c == b'-')
}

fn word_shaped(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends =
        bytes.first().is_some_and(u8::is_ascii_alphanumeric) && bytes.last().is_some_and(u8::is_ascii_alphanumeric);
    ends && bytes.iter().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
}

/// RFC 1123 label: at most 63 of `a-z0-9-`.
pub fn dns_label(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push(too_long(63));
    }
    if !label_shaped(name) {
        wrong.push(LABEL.to_owned());
    }
    wrong
}

/// RFC 1123 subdomain: labels joined by dots, at most 253 bytes.
pub fn dns_subdomain(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 253 {
        wrong.push(too_long(253));
    }
    if !name.split('.').all(label_shaped) {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

/// RFC 1035 label: like [`dns_label`] but starting with a letter (names of services).
pub fn dns_1035_label(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push(too_long(63));
    }
    if !label_shaped(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        wrong.push(LABEL_1035.to_owned());
    }
    wrong
}

/// `[prefix/]name`, as keys of labels and annotations are.
pub fn qualified_name(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (prefix, name) = match name.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, name),
    };
    if name.contains('/') {
        return vec![format!(
            "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            QUALIFIED.trim_start_matches("name part ")
        )];
    }
    match prefix {
        Some("") => wrong.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => wrong.extend(dns_subdomain(prefix).into_iter().map(|why| format!("prefix part {why}"))),
        None => {}
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push(format!("name part {}", too_long(63)));
    }
    if !word_shaped(name) {
        wrong.push(QUALIFIED.to_owned());
    }
    wrong
}

/// A label's value: empty, or at most 63 of `A-Za-z0-9-_.`.
pub fn label_value(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > 63 {
        wrong.push(too_long(63));
    }
    if !value.is_empty() && !word_shaped(value) {
        wrong.push(VALUE.to_owned());
    }
    wrong
}

/// RFC 6335 service name, as ports are named: at most 15 of `a-z0-9-` with a letter among them.
pub fn port_name(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 15 {
        wrong.push("must be no more than 15 characters".to_owned());
    }
    if name.is_empty() || !name.bytes().all(|c| lower(c) || c == b'-') {
        wrong.push(PORT_NAME.to_owned());
    }
    if !name.bytes().any(|c| c.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if name.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if name.starts_with('-') || name.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// A key of a `ConfigMap` or `Secret`: a file name of `A-Za-z0-9-_.`, at most 253 bytes.
pub fn config_key(key: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if key.len() > 253 {
        wrong.push(too_long(253));
    }
    if key.is_empty() || !key.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c)) {
        wrong.push("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')".to_owned());
    }
    if key == "." || key == ".." {
        wrong.push(format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        wrong.push("must not start with '..'".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad_names() {
        type Check = fn(&str) -> Vec<String>;
        let cases: &[(Check, &[&str], &[&str])] = &[
            (dns_label, &["a", "web-1", "1a"], &["", "-a", "a-", "A", "a.b", "a_b"]),
            (dns_subdomain, &["a", "a.b-c.d", "1.2"], &["", ".a", "a..b", "A.b", "a/b"]),
            (dns_1035_label, &["a", "web-1"], &["", "1a", "a."]),
            (qualified_name, &["a", "A_b.c", "x.y/Name"], &["", "/a", "x/", "x/y/z", "-a", "X.y/n"]),
            (label_value, &["", "A", "1.2_3-a"], &["-", "a b", "a-"]),
            (port_name, &["http", "a-1"], &["", "80", "a--b", "-a", "abcdefghijklmnop"]),
            (config_key, &["a", ".hidden", "A_B.c"], &["", "..", ".", "..a", "a/b"]),
        ];
        for (check, good, bad) in cases {
            good.iter().for_each(|name| assert_eq!(check(name), Vec::<String>::new(), "{name:?}"));
            bad.iter().for_each(|name| assert_ne!(check(name), Vec::<String>::new(), "{name:?}"));
        }
    }
}
