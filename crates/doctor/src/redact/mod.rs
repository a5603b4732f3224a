//! Takes what is secret out of texts before they become evidence.
//!
//! Invariant: a text keeps its length in bytes and its lines, so that places in the evidence are places in the file,
//! and an edit of the evidence fits the file itself. What is masked is masked in every reader's eyes: there is no way
//! back. Certificates are public and stay.

mod kubeconfig;

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

pub use kubeconfig::kubeconfig;

use crate::evidence::{Evidence, Item, ItemKind};

/// What stands where a secret was, filled up with `*` or cut to the secret's length.
const MARKER: &[u8] = b"REDACTED";

/// Things that are secret wherever they stand. The first group is what goes.
static ANYWHERE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    regexes(&[
        // A JSON Web Token: header, payload, signature.
        r"(?-u:\b)eyJ[A-Za-z0-9_-]{6,}\.([A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?)",
        // A private key in PEM; also one that is cut off.
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----((?s:.)*?)(?:-----END|\z)",
        // User and password in a URL.
        r"://[^\s/@:\x22']*:([^\s/@\x22']+)@",
        r"(?i)\bauthorization:\s*(?:bearer|basic)\s+([^\s\x22',]+)",
        r"(?i)(?:--|(?-u:\b))(?:password|passwd|client-secret|client_secret|access-token|access_token|identity_?token|registry-token|token)=\x22?([^\s\x22'&,]+)",
        // A bootstrap token of kubeadm, behind its option; the part before the dot is its public id.
        r"--(?:discovery-|tls-bootstrap-)?token[ =][a-z0-9]{6}\.([a-z0-9]{16})\b",
    ])
});

/// Keys of containerd's TOML whose strings are credentials.
static TOML: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let keys = r"(?im)^\s*\x22?(?:password|auth|identitytoken|registrytoken|token|secret)\x22?\s*=\s*";
    let inline = r"(?i)[{,]\s*\x22?(?:password|auth|identitytoken|registrytoken|token|secret)\x22?\s*=\s*";
    let header = r"(?im)\bAuthorization\x22?\s*=\s*\[?\s*[\x22']([^\x22'\n]+)[\x22']";
    let quoted = [keys, inline].map(|key| [format!(r"{key}\x22([^\x22\n]+)\x22"), format!(r"{key}'([^'\n]+)'")]);
    let mut all: Vec<String> = quoted.into_iter().flatten().collect();
    all.push(header.to_owned());
    regexes(&all.iter().map(String::as_str).collect::<Vec<_>>())
});

fn regexes(patterns: &[&str]) -> Vec<Regex> {
    patterns.iter().map(|pattern| Regex::new(pattern).expect("the patterns are constants and tested")).collect()
}

/// Whether a variable or option of this name usually holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["password", "passwd", "secret", "token", "credential", "apikey", "api_key", "api-key", "private_key"];
    words.iter().any(|word| name.contains(word)) || name.ends_with("_pass") || name.ends_with("access_key")
}

/// The evidence without what is secret.
#[must_use]
pub fn evidence(evidence: Evidence) -> Evidence {
    evidence.map_items(item)
}

/// One piece of evidence without what is secret. Values of Secret objects are not looked for: whoever collects objects
/// leaves them out, and manifests say themselves what they are.
#[must_use]
pub fn item(item: Item) -> Item {
    let masked = match item.kind {
        ItemKind::Kubeconfig => kubeconfig(item.text),
        ItemKind::ContainerdConfig | ItemKind::HostsToml => toml(item.text),
        _ => text(item.text),
    };
    Item { text: masked, ..item }
}

/// A log, a command's output, or any other text.
#[must_use]
pub fn text(text: String) -> String {
    masked_by(text, &ANYWHERE)
}

/// A file of containerd's configuration, or a `hosts.toml`.
#[must_use]
pub fn toml(text: String) -> String {
    self::text(masked_by(text, &TOML))
}

fn masked_by(text: String, patterns: &[Regex]) -> String {
    let mut spans = Vec::new();
    for pattern in patterns {
        spans.extend(pattern.captures_iter(&text).filter_map(|found| found.get(1)).map(|secret| secret.range()));
    }
    masked(text, &spans)
}

/// The text with these bytes masked; line ends stay.
fn masked(text: String, spans: &[Range<usize>]) -> String {
    if spans.is_empty() {
        return text;
    }
    let mut bytes = text.into_bytes();
    for span in spans {
        let mut marker = MARKER.iter().copied().chain(std::iter::repeat(b'*'));
        for byte in bytes.get_mut(span.clone()).into_iter().flatten() {
            if !matches!(*byte, b'\n' | b'\r') {
                *byte = marker.next().unwrap_or(b'*');
            }
        }
    }
    // Spans begin and end at characters, so no character is left in halves.
    String::from_utf8(bytes).unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_words_about_them_stay() {
        let log = "fetch https://bob:hunter2@reg.example.com/v2/: failed to fetch oauth token: unexpected status\n\
                   bearer eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9.c2ln ok\nkubeadm join --token abcdef.0123456789abcdef\n\
                   Authorization: Basic Ym9iOmh1bnRlcjI= secret \"pull\" not found, password=hunter2\n";
        let seen = text(log.to_owned());
        for secret in ["hunter2", "eyJleHAiOjF9", "0123456789abcdef", "Ym9iOmh1bnRlcjI="] {
            assert!(!seen.contains(secret), "{secret}: {seen}");
        }
        for stays in ["https://bob:", "oauth token: unexpected status", "secret \"pull\" not found", "abcdef."] {
            assert!(seen.contains(stays), "{stays}: {seen}");
        }
        assert_eq!(seen.len(), log.len());
    }

    #[test]
    fn containerds_credentials_go_byte_for_byte() {
        let config = "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"a:5000\".auth]\n  username = \"u\"\n  \
                      password = \"p\u{e4}ss wörd\"\n  auth = 'dTpw'\nx = {identitytoken = \"abc\", k = 1}\n\
                      [header]\n  Authorization = [\"Basic dTpw\"]\n  config_path = \"/etc/certs.d\"\n";
        let seen = toml(config.to_owned());
        assert_eq!(seen.len(), config.len());
        assert_eq!(seen.lines().count(), config.lines().count());
        for secret in ["wörd", "dTpw", "\"abc\""] {
            assert!(!seen.contains(secret), "{secret}: {seen}");
        }
        assert!(seen.contains("username = \"u\"") && seen.contains("/etc/certs.d"));
    }

    #[test]
    fn private_keys_go_and_lines_stay() {
        let pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\nabc\n-----END EC PRIVATE KEY-----\n";
        let seen = text(pem.to_owned());
        assert!(!seen.contains("MHcCAQ") && seen.contains("-----END EC"));
        assert_eq!((seen.len(), seen.lines().count()), (pem.len(), 4));
    }
}
