//! What came of a request to a registry, by the words that tell of it.

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// The name can't be read.
    Reference,
    /// The pull policy forbids to ask.
    Forbidden,
    /// A proxy did not do its part.
    Proxy,
    /// The disk is full.
    Full,
    /// No variant for the platform.
    Platform,
    /// A manifest of the old form.
    OldManifest,
    /// Content that does not fit its size or digest, or is missing.
    Damaged,
    /// A web page.
    Page,
    /// Too many requests.
    Limited,
    /// The host's name was not resolved.
    Lookup,
    /// A certificate was not accepted.
    Certificate,
    /// Plain HTTP where TLS was expected, or the reverse.
    Scheme,
    /// Refused, no route, closed.
    Refused,
    /// Nothing came in time.
    Silent,
    /// Who asks may not.
    Denied,
    /// There is no such tag, digest or repository.
    Absent,
    /// Something else.
    Other,
}

/// Words that tell what came of a request, first match first.
const ANSWERS: [(Answer, &[&str]); 16] = [
    (Answer::Forbidden, &["pull policy of Never", "ErrImageNeverPull"]),
    (
        Answer::Reference,
        &["invalid reference format", "parse image reference", "must be lowercase", "parse image name"],
    ),
    (Answer::Proxy, &["proxyconnect ", "Proxy Authentication Required", "socks connect "]),
    (Answer::Full, &["no space left on device", "disk quota exceeded"]),
    (
        Answer::OldManifest,
        &["manifest.v1+prettyjws", "manifest.v1+json\"", "schema 1 support", "unsupported schema version 1"],
    ),
    (
        Answer::Platform,
        &[
            "no match for platform",
            "no matching manifest for",
            "no image found in manifest list",
            "no image found in image index",
        ],
    ),
    (
        Answer::Damaged,
        &[
            "failed size validation",
            "unexpected commit digest",
            "could not fetch content descriptor",
            "verification failed for digest",
            "short read: expected",
            "blob unknown",
        ],
    ),
    (
        Answer::Page,
        &[
            "media type text/",
            "invalid character '<'",
            "media type \"text/html\"",
            "Content-Type \"text/html",
            "contenttype text/html",
        ],
    ),
    (
        Answer::Limited,
        &["toomanyrequests", "429 Too Many", "pull rate limit", "rate limit exceeded", "TOOMANYREQUESTS"],
    ),
    (Answer::Lookup, &["no such host", "server misbehaving", "failure in name resolution", ": lookup ", " lookup "]),
    (Answer::Certificate, &["x509: ", "tls: failed to verify"]),
    (Answer::Scheme, &["HTTP response to HTTPS client", "malformed HTTP response", "HTTP request to an HTTPS server"]),
    (
        Answer::Refused,
        &[
            "connection refused",
            "no route to host",
            "network is unreachable",
            "host is down",
            "connection reset",
            ": EOF",
            "no Host in request URL",
        ],
    ),
    (
        Answer::Silent,
        &[
            "i/o timeout",
            "handshake timeout",
            "connection timed out",
            "Client.Timeout",
            "canceled while waiting",
            "timeout awaiting response",
            "context deadline exceeded",
            "no response from",
        ],
    ),
    (
        Answer::Denied,
        &[
            "401 Unauthorized",
            "403 Forbidden",
            "unauthorized",
            "UNAUTHORIZED",
            "denied",
            "DENIED",
            "authentication required",
            "no basic auth credentials",
            "insufficient_scope",
            "authorization failed",
            "failed to authorize",
            "incorrect username or password",
            "status: 401",
            "status: 403",
            "not authorized",
            "AccessDenied",
            "authorization token has expired",
            "status code 401",
            "status code 403",
        ],
    ),
    (
        Answer::Absent,
        &[
            "not found",
            "manifest unknown",
            "MANIFEST_UNKNOWN",
            "name unknown",
            "NAME_UNKNOWN",
            "code = NotFound",
            "404 Not Found",
            "status: 404",
            "status code 404",
        ],
    ),
];

pub(super) fn answer(text: &str) -> Answer {
    // A file's permission is no registry's answer.
    let text = &text.replace("permission denied", "not permitted");
    let found = ANSWERS.iter().find(|(_, words)| words.iter().any(|word| text.contains(word)));
    found.map_or(Answer::Other, |(answer, _)| *answer)
}
