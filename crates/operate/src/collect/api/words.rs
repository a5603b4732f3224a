//! Failures of API requests in kubectl's words: users search for those, and rules know them.

use std::sync::LazyLock;

use kube::Error;
use regex::Regex;

/// What kubectl says when `server` can't be used because of this error.
pub fn kubectl(error: &Error, server: &str) -> String {
    if let Error::Api(status) = error {
        return match status.code {
            401 => "error: You must be logged in to the server (Unauthorized)".to_owned(),
            _ => {
                let reason = if status.reason.is_empty() { "Unknown" } else { &status.reason };
                format!("Error from server ({reason}): {}", status.message)
            }
        };
    }
    let words = chain(error);
    let host = server.split_once("://").map_or(server, |(_, rest)| rest).trim_end_matches('/');
    if words.contains("Connection refused") {
        return format!("The connection to the server {host} was refused - did you specify the right host or port?");
    }
    format!("Unable to connect to the server: {}", reason(&words, host))
}

fn reason(words: &str, host: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let has = |word: &str| words.contains(word);
    if has("UnknownIssuer") || has("BadSignature") {
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned();
    }
    if let Some(when) = verified(words) {
        return format!("tls: failed to verify certificate: x509: certificate has expired or is not yet valid: {when}");
    }
    if has("not valid for name") || has("NotValidForName") {
        let names = names(words).unwrap_or_else(|| "other names".to_owned());
        return format!("tls: failed to verify certificate: x509: certificate is valid for {names}, not {name}");
    }
    if has("lookup address information") || has("dns error") {
        return format!("dial tcp: lookup {name}: no such host");
    }
    if has("No route to host") {
        return format!("dial tcp {host}: connect: no route to host");
    }
    if has("etwork is unreachable") {
        return format!("dial tcp {host}: connect: network is unreachable");
    }
    if has("timed out") || has("deadline has elapsed") {
        return format!("dial tcp {host}: i/o timeout");
    }
    if has("InvalidContentType") {
        return "http: server gave HTTP response to HTTPS client".to_owned();
    }
    if has("unable to run auth exec") {
        return format!("getting credentials: exec: {}", words.rsplit(": ").next().unwrap_or(words));
    }
    words.to_owned()
}

/// `certificate expired: verification time 1733000000 (UNIX), but certificate is not valid after 1732000000 (…)`.
static VERIFIED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"verification time (\d+) \(UNIX\), but certificate is not valid (after|before) (\d+)")
        .expect("the pattern is a constant and tested")
});

fn verified(words: &str) -> Option<String> {
    let found = VERIFIED.captures(words)?;
    let time = |group: usize| jiff::Timestamp::from_second(found[group].parse().ok()?).ok();
    let is = if &found[2] == "after" { "is after" } else { "is before" };
    Some(format!("current time {} {is} {}", time(1)?, time(3)?))
}

/// Names of rustls' `certificate is only valid for DnsName("a") or IpAddress(10.0.0.1)`.
fn names(words: &str) -> Option<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:DnsName\("([^"]+)"\)|IpAddress\(([^)]+)\))"#).expect("the pattern is a constant and tested")
    });
    let (_, valid) = words.split_once("only valid for")?;
    let names: Vec<&str> =
        NAME.captures_iter(valid).filter_map(|found| Some(found.get(1).or(found.get(2))?.as_str())).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_as_kubectl_tells_them() {
        let told = [
            ("invalid peer certificate: UnknownIssuer", "certificate signed by unknown authority"),
            (
                "certificate expired: verification time 1733000000 (UNIX), but certificate is not valid after 1732000000 (x)",
                "current time 2024-11-30T20:53:20Z is after 2024-11-19T07:06:40Z",
            ),
            (
                r#"certificate not valid for name "x"; certificate is only valid for DnsName("kubernetes") or IpAddress(10.96.0.1)"#,
                "certificate is valid for kubernetes, 10.96.0.1, not api.example.org",
            ),
            (
                "dns error: failed to lookup address information: Name or service not known",
                "lookup api.example.org: no such host",
            ),
            (
                "tcp connect error: No route to host (os error 113)",
                "dial tcp api.example.org:6443: connect: no route to host",
            ),
            ("operation timed out", "i/o timeout"),
        ];
        for (words, expected) in told {
            let said = reason(words, "api.example.org:6443");
            assert!(said.contains(expected), "{words}: {said}");
        }
    }
}
