//! Image names, in the full form that containerd stores.
//!
//! The grammar is that of the distribution project's references; the defaults (`docker.io`,
//! `library/`, `latest`) are Docker's, which Kubernetes uses too.

use std::fmt;
use std::str::FromStr;

const DEFAULT_DOMAIN: &str = "docker.io";
/// Another name of the same registry, from Docker's first years.
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A full image name: registry, repository, and a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// Such as `docker.io` or `localhost:5000`.
    pub domain: String,
    /// Such as `library/nginx`.
    pub repository: String,
    pub version: Version,
}

/// Which image of the repository is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Tag(String),
    /// `sha256:…`; it wins over a tag beside it.
    Digest(String),
}

/// Text that is no image name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not an image name: {problem}")]
pub struct NameError {
    pub name: String,
    pub problem: &'static str,
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.repository)?;
        match &self.version {
            Version::Tag(tag) => write!(f, ":{tag}"),
            Version::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

impl FromStr for ImageName {
    type Err = NameError;

    /// Reads `nginx`, `nginx:1.27`, `me/app@sha256:…`, `localhost:5000/app:1` and so on.
    fn from_str(name: &str) -> Result<Self, NameError> {
        parse(name).map_err(|problem| NameError { name: name.to_owned(), problem })
    }
}

fn parse(name: &str) -> Result<ImageName, &'static str> {
    let (rest, digest) = match name.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (name, None),
    };
    // A colon after the last slash begins the tag; one before it is a port.
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (rest, None),
    };
    if digest.is_none() && tag.is_none() && is_hex(path, 64) {
        return Err("64 hexadecimal digits are an image id");
    }
    let (domain, repository) = split_domain(path);
    check_domain(domain)?;
    let repository = match domain == DEFAULT_DOMAIN && !repository.contains('/') {
        true => format!("{OFFICIAL}{repository}"),
        false => repository.to_owned(),
    };
    check_repository(&repository)?;
    if domain.len() + 1 + repository.len() > MAX_NAME {
        return Err("the repository has more than 255 characters");
    }
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let version = match digest {
        Some(digest) => Version::Digest(check_digest(digest)?.to_owned()),
        None => Version::Tag(tag.unwrap_or(DEFAULT_TAG).to_owned()),
    };
    Ok(ImageName { domain: domain.to_owned(), repository, version })
}

/// The first part is a registry if it could not be a part of a repository.
fn split_domain(path: &str) -> (&str, &str) {
    let Some((first, rest)) = path.split_once('/') else {
        return (DEFAULT_DOMAIN, path);
    };
    match first {
        LEGACY_DOMAIN => (DEFAULT_DOMAIN, rest),
        "localhost" => (first, rest),
        _ if first.contains(['.', ':']) || first.chars().any(|c| c.is_ascii_uppercase()) => (first, rest),
        _ => (DEFAULT_DOMAIN, path),
    }
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    const PROBLEM: &str = "the registry must be a host name or address, with or without a port";
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return Err(PROBLEM);
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').ok_or(PROBLEM)?;
        return address.parse::<std::net::Ipv6Addr>().map(|_| ()).map_err(|_| PROBLEM);
    }
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label).then_some(()).ok_or(PROBLEM)
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the repository must be in lower case");
    }
    repository
        .split('/')
        .all(is_path_component)
        .then_some(())
        .ok_or("the repository must consist of a-z, 0-9 and single separators . _ __ -")
}

/// Letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_path_component(component: &str) -> bool {
    let is_separator = |c: char| matches!(c, '.' | '_' | '-');
    let text_ok = component.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || is_separator(c));
    let ends_ok = !component.is_empty() && !component.starts_with(is_separator) && !component.ends_with(is_separator);
    let separators_ok = component
        .split(|c: char| !is_separator(c))
        .all(|run| matches!(run, "" | "." | "_" | "__") || run.chars().all(|c| c == '-'));
    text_ok && ends_ok && separators_ok
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ok = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    ok.then_some(()).ok_or("the tag must be up to 128 letters, digits, or . _ -")
}

fn check_digest(digest: &str) -> Result<&str, &'static str> {
    match digest.strip_prefix("sha256:") {
        Some(hex) if is_hex(hex, 64) => Ok(digest),
        _ => Err("the digest must be sha256: and 64 hexadecimal digits in lower case"),
    }
}

pub(super) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: &str) {
        let name: ImageName = given.parse().unwrap();
        assert_eq!(name.to_string(), expected, "{given}");
        // A full name is its own full name.
        assert_eq!(expected.parse::<ImageName>().unwrap(), name);
    }

    fn check_refused(given: &str, problem: &str) {
        let error = given.parse::<ImageName>().unwrap_err();
        assert!(error.problem.contains(problem), "{given}: {error}");
    }

    #[test]
    fn short_names_get_registry_and_tag() {
        check("nginx", "docker.io/library/nginx:latest");
        check("nginx:1.27", "docker.io/library/nginx:1.27");
        check("me/app", "docker.io/me/app:latest");
        check("docker.io/nginx", "docker.io/library/nginx:latest");
        check("index.docker.io/library/nginx", "docker.io/library/nginx:latest");
    }

    #[test]
    fn a_registry_is_known_by_its_look() {
        check("localhost/app", "localhost/app:latest");
        check("localhost:5000/app:1", "localhost:5000/app:1");
        check("ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x");
        check("Registry/app", "Registry/app:latest");
        check("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app:latest");
        check("[::1]/app", "[::1]/app:latest");
        check("a__b/c--d.e", "docker.io/a__b/c--d.e:latest");
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        check(&format!("nginx:1@{digest}"), &format!("docker.io/library/nginx@{digest}"));
    }

    #[test]
    fn bad_names_are_refused() {
        check_refused("", "separators");
        check_refused("nginx:", "tag");
        check_refused("nginx:-x", "tag");
        check_refused(&format!("nginx:{}", "a".repeat(129)), "tag");
        check_refused("Nginx", "lower case");
        check_refused("a/../b", "separators");
        check_refused("a//b", "separators");
        check_refused("a..b", "separators");
        check_refused("a___b", "separators");
        check_refused("http://host/app", "registry");
        check_refused(" nginx", "separators");
        check_refused("host:port/app", "registry");
        check_refused("nginx@sha256:12", "digest");
        check_refused("nginx@md5:12", "digest");
        check_refused(&"ab".repeat(32), "image id");
        check_refused(&format!("me/{}", "a".repeat(260)), "255");
    }
}
