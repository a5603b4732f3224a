//! Secrets that show by their form or by the word before them, in any text.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use regex::Regex;

use super::{Cuts, RIGHT};
use crate::evidence::ItemKind;

/// Patterns whose group `secret` is taken, each with words without which it can't match: most texts are large and have none.
static ANYWHERE: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let patterns = [
        ("PRIVATE KEY", r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?<secret>[^-]+)"),
        // Credentials in a URL.
        ("://", r#"[a-z][a-z0-9+.-]*://[^/\s:@"']*:(?<secret>[^/\s@"']+)@"#),
        // A signed token: without its signature it opens nothing.
        ("eyJ", r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.(?<secret>[A-Za-z0-9_-]{8,})"),
        // A header, with its scheme or in quotes; in prose, authorization is just a word.
        (
            "",
            r#"(?i)authorization\\*["']?\s*[:=]\s*\[?\s*\\*["']?\s*(?:basic|bearer|token|negotiate)\s+(?<secret>[^\s"'\\,\]]+)"#,
        ),
        (
            "",
            r#"(?i)authorization\\*["']?\s*[:=]\s*\[?\s*\\*["'](?:(?:basic|bearer|token|negotiate)\s+)?(?<secret>[^\s"'\\,\]]+)"#,
        ),
        ("", r"(?i)\bbearer\s+(?<secret>[A-Za-z0-9._~+/-]{16,}=*)"),
        (
            "",
            r#"(?i)(?:password|passwd|passphrase|secret[_-]?access[_-]?key|secret[_-]?key|client[_-]?secret|api[_-]?key|access[_-]?key|identity[_-]?token|id[_-]token|refresh[_-]token|access[_-]token|session[_-]token|auth[_-]token|client-key-data|private[_-]?key|certificate-key)\\*["']?\s*[:=]\s*\\*(?:"(?<secret>(?:[^"\\\n]|\\[^"])+)|'(?<secret2>[^'\n]+)|(?<secret3>[^\s"'\\,;}\]]+))"#,
        ),
        ("", r"(?i)--(?:[a-z-]*password|[a-z-]*token|certificate-key|[a-z-]*secret)[= ]+(?<secret>[^\s-][^\s]*)"),
        ("IA", r"\b(?:AKIA|ASIA)(?<secret>[A-Z0-9]{16})\b"),
        ("", r"\b(?:ghp|gho|ghs|glpat|xox[abp])[_-](?<secret>[A-Za-z0-9_-]{16,})"),
    ];
    patterns.into_iter().map(|(word, pattern)| (word, Regex::new(pattern).expect(RIGHT))).collect()
});

/// Words that name a secret in a file of settings, and something else in prose.
static IN_SETTINGS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?im)(?:^|[\s{,.\["'-])(?:token|auth|identitytoken|tls\.key)["']?\s*[:=]\s*(?:"(?<secret>[^"\n]+)|'(?<secret2>[^'\n]+)|(?<secret3>[^\s"',;}\]{\[|>&*!#][^\s"',;}\]]*))"#,
    ).expect(RIGHT)
});

/// A bootstrap token: its second half is secret.
static BOOTSTRAP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b[a-z0-9]{6}\.(?<secret>[a-z0-9]{16})\b").expect(RIGHT));

/// What begins a PEM text in base64.
const PEM: &str = "LS0tLS1CRUdJTi";

pub(super) fn find(kind: ItemKind, text: &str, cuts: &mut Cuts) {
    for (word, pattern) in ANYWHERE.iter() {
        if text.contains(word) {
            take(pattern, text, cuts);
        }
    }
    let settings = matches!(
        kind,
        ItemKind::Kubeconfig
            | ItemKind::Manifest
            | ItemKind::ContainerdConfig
            | ItemKind::HostsToml
            | ItemKind::Objects
    );
    if settings {
        take(&IN_SETTINGS, text, cuts);
    }
    if text.contains("token") || text.contains("join") {
        for found in BOOTSTRAP.captures_iter(text) {
            let Some(secret) = found.name("secret") else { continue };
            // Host names look alike: they go on with a dot, or have no digit.
            let goes_on = text[secret.end()..].starts_with(['.', '/', ':']);
            if !goes_on && secret.as_str().bytes().any(|byte| byte.is_ascii_digit()) {
                cuts.take(text, secret.range());
            }
        }
    }
    for (at, _) in text.match_indices(PEM) {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let length = text.as_bytes()[at..].iter().take_while(|byte| is_base64(**byte)).count();
        // Enough to read the first line of it, in whole groups of four.
        let head = &text[at..at + length.min(64) / 4 * 4];
        let private = BASE64.decode(head).is_ok_and(|bytes| bytes.windows(7).any(|part| part == b"PRIVATE"));
        if private {
            cuts.take(text, at..at + length);
        }
    }
}

fn take(pattern: &Regex, text: &str, cuts: &mut Cuts) {
    for found in pattern.captures_iter(text) {
        let secret = ["secret", "secret2", "secret3"].into_iter().find_map(|name| found.name(name));
        let Some(secret) = secret else { continue };
        let mut span = secret.range();
        // The claims of a signed token stay: they tell when it ends.
        if secret.as_str().starts_with("eyJ")
            && let Some(dot) = secret.as_str().rfind('.')
        {
            span.start += dot + 1;
        }
        // `kubectl describe secret` tells sizes: `password:  18 bytes`.
        let size = text[secret.end()..].starts_with(" bytes");
        // Variables and references are no values.
        let reference = text[span.clone()].starts_with(['$', '<', '%']);
        if !size && !reference {
            cuts.take(text, span);
        }
    }
}
