//! Names of images: registry, repository, tag, digest; and what makes a name unusable.

use std::ops::Range;

use crate::text::is_invisible;

/// The registry that a name without one means.
pub const DOCKER_HUB: &str = "docker.io";

/// The name of an image, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// Host and port, as written: `cr.example.org:5000`; `docker.io` where none is.
    pub registry: String,
    /// Path in the registry, such as `library/nginx`.
    pub repository: String,
    /// Tag; empty when none is written.
    pub tag: String,
    /// Digest; empty when none is written.
    pub digest: String,
    /// Whether the registry is not written and so is Docker Hub.
    pub implied: bool,
}

impl Reference {
    /// Takes a name apart; `None` where it has a flaw or no repository.
    pub fn read(image: &str) -> Option<Self> {
        if image.is_empty() || image.contains(|character: char| character.is_whitespace() || character == '"') {
            return None;
        }
        let image = image.split_once("://").map_or(image, |(_, rest)| rest);
        let (name, digest) = image.split_once('@').unwrap_or((image, ""));
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') && !name.is_empty() => (name, tag),
            _ => (name, ""),
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), path),
            _ => (None, name),
        };
        let implied = registry.is_none();
        let registry = match registry {
            None | Some("index.docker.io" | "registry-1.docker.io") => DOCKER_HUB,
            Some(host) => host,
        };
        let hub_official = registry == DOCKER_HUB && !path.contains('/');
        let repository = if hub_official { format!("library/{path}") } else { path.to_owned() };
        let registry = registry.to_owned();
        (!path.is_empty()).then_some(Self {
            registry,
            repository,
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            implied,
        })
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        host(&self.registry)
    }

    /// The port, where one is written.
    pub fn port(&self) -> Option<&str> {
        port(&self.registry)
    }

    /// The host and port that a client asks when no mirror is set: `registry-1.docker.io` for Docker Hub.
    pub fn upstream(&self) -> &str {
        if self.registry == DOCKER_HUB { "registry-1.docker.io" } else { &self.registry }
    }
}

/// The host of `host:port`.
pub fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !host.is_empty() => host,
        _ => authority,
    }
}

/// The port of `host:port`.
pub fn port(authority: &str) -> Option<&str> {
    let (_, port) = authority.rsplit_once(':')?;
    (!port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())).then_some(port)
}

/// The `host:port` of a URL; empty when it has none.
pub fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#', '"', ' ']).next().unwrap_or_default();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// Whether two `host:port` mean the same registry: names of Docker Hub are one, and default ports may be left out.
pub fn same_registry(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

fn plain(authority: &str) -> String {
    let lower = authority.to_ascii_lowercase();
    let bare = lower.strip_suffix(":443").unwrap_or(&lower);
    match bare {
        "index.docker.io" | "registry-1.docker.io" | "registry.docker.io" | "hub.docker.com" => DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    }
}

/// Whether a host is a registry of the internet that everybody uses, or one of the hosts that such a one sends to.
pub fn is_public(authority: &str) -> bool {
    const HOSTS: [&str; 14] = [
        "registry.k8s.io",
        "quay.io",
        "ghcr.io",
        "gcr.io",
        "mcr.microsoft.com",
        "public.ecr.aws",
        "registry.gitlab.com",
        "nvcr.io",
        "docker.elastic.co",
        "registry.redhat.io",
        "registry.access.redhat.com",
        "lscr.io",
        "cgr.dev",
        "registry.suse.com",
    ];
    const DOMAINS: [&str; 8] = [
        ".docker.io",
        ".docker.com",
        ".gcr.io",
        ".pkg.dev",
        ".quay.io",
        ".cloudflarestorage.com",
        ".githubusercontent.com",
        ".k8s.io",
    ];
    let host = host(authority).to_ascii_lowercase();
    host == DOCKER_HUB || HOSTS.contains(&host.as_str()) || DOMAINS.iter().any(|domain| host.ends_with(domain))
}

/// What makes a name unusable, worst first; a name is said to have only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A variable or template that was not replaced, or was replaced by nothing.
    Variable,
    /// `http://` or the like.
    Scheme,
    /// A character that can't be seen, or that looks like another one.
    Invisible,
    /// A blank, tab or line end.
    Blank,
    /// Capitals in the repository.
    Capitals,
}

/// What scripts replace, in capitals between marks that no name has: `%TAG%`, `@TAG@`, `__TAG__`, `<TAG>`.
fn placeholder(image: &str) -> Option<Range<usize>> {
    for (open, close) in [("%", "%"), ("@@", "@@"), ("@", "@"), ("__", "__"), ("<", ">")] {
        let Some(at) = image.find(open) else { continue };
        let Some(length) = image[at + open.len()..].find(close).filter(|length| *length > 0) else { continue };
        let name = &image[at + open.len()..][..length];
        if name.chars().all(|one| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_') {
            return Some(at..at + open.len() + length + close.len());
        }
    }
    None
}

/// The flaw of a name, and the bytes of it.
pub fn flaw(image: &str) -> Option<(Flaw, Range<usize>)> {
    if image.is_empty() {
        return None;
    }
    if let Some(at) = ["${", "$(", "{{", "<no value>", "#{"].iter().filter_map(|open| image.find(open)).min() {
        return Some((Flaw::Variable, at..image.len()));
    }
    if let Some(at) = image.find('$') {
        return Some((Flaw::Variable, at..image.len()));
    }
    if let Some(length) = placeholder(image) {
        return Some((Flaw::Variable, length));
    }
    if let Some(length) = scheme(image) {
        return Some((Flaw::Scheme, 0..length));
    }
    let hidden = |character: char| !character.is_ascii() || (is_invisible(character) && !" \t\n".contains(character));
    if let Some((at, character)) = image.char_indices().find(|(_, character)| hidden(*character)) {
        return Some((Flaw::Invisible, at..at + character.len_utf8()));
    }
    if let Some(at) = image.find([' ', '\t', '\n']) {
        let length = image[at..].len() - image[at..].trim_start_matches([' ', '\t', '\n']).len();
        return Some((Flaw::Blank, at..at + length));
    }
    if let Some(at) = empty_part(image) {
        return Some((Flaw::Variable, at..at));
    }
    let (start, end) = repository(image);
    let at = image[start..end].find(|character: char| character.is_ascii_uppercase())? + start;
    let length = image[at..end].find(|character: char| !character.is_ascii_uppercase()).unwrap_or(end - at);
    Some((Flaw::Capitals, at..at + length))
}

/// The length of `https://` at the beginning.
fn scheme(image: &str) -> Option<usize> {
    let (scheme, _) = image.trim_start().split_once("://")?;
    let known = ["http", "https", "docker", "oci", "docker-daemon", "containerd"];
    let length = image.find("://")? + 3;
    known.contains(&scheme.to_ascii_lowercase().as_str()).then_some(length)
}

/// Where a name ends in `:` or `@`, or begins with `/` or `:`: a variable was empty.
fn empty_part(image: &str) -> Option<usize> {
    if image.starts_with(['/', ':']) {
        return Some(0);
    }
    image.ends_with([':', '@', '/']).then_some(image.len()).or_else(|| image.find("//"))
}

/// The bytes of the repository.
fn repository(image: &str) -> (usize, usize) {
    let end = image.find('@').unwrap_or(image.len());
    let end = match image[..end].rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name.len(),
        _ => end,
    };
    let start = match image[..end].split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first.len() + 1,
        _ => 0,
    };
    (start.min(end), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_parts() {
        let parts = |image: &str| {
            let read = Reference::read(image).unwrap();
            (read.registry, read.repository, read.tag, read.digest, read.implied)
        };
        let owned = |registry: &str, repository: &str, tag: &str, digest: &str, implied| {
            (registry.to_owned(), repository.to_owned(), tag.to_owned(), digest.to_owned(), implied)
        };
        assert_eq!(parts("nginx"), owned("docker.io", "library/nginx", "", "", true));
        assert_eq!(parts("a/b:1"), owned("docker.io", "a/b", "1", "", true));
        assert_eq!(parts("index.docker.io/a/b"), owned("docker.io", "a/b", "", "", false));
        assert_eq!(parts("10.0.0.1:5000/x/y:2"), owned("10.0.0.1:5000", "x/y", "2", "", false));
        assert_eq!(parts("localhost/x@sha256:ab"), owned("localhost", "x", "", "sha256:ab", false));
        let read = Reference::read("cr.example.org:5000/x").unwrap();
        assert_eq!(
            (read.host(), read.port(), read.upstream()),
            ("cr.example.org", Some("5000"), "cr.example.org:5000")
        );
        assert_eq!(Reference::read(" a/b"), None);
    }

    #[test]
    fn registries_have_several_names() {
        assert!(same_registry("docker.io", "registry-1.docker.io") && same_registry("cr.org", "cr.org:443"));
        assert!(!same_registry("cr.org", "cr.org:5000"));
        assert_eq!(authority("https://user@cr.org:5000/v2/?x"), "cr.org:5000");
        assert!(is_public("registry-1.docker.io") && is_public("k8s.gcr.io") && !is_public("cr.example.net:5000"));
    }

    #[test]
    fn flaws_of_names() {
        let found = |image: &str| flaw(image).map(|(flaw, bytes)| (flaw, image[bytes].to_owned()));
        let some = |flaw, bytes: &str| Some((flaw, bytes.to_owned()));
        assert_eq!(found("cr.org/a/b:1.0-RC1"), None, "capitals in a tag");
        assert_eq!(found("Cr.Org:5000/a/b"), None, "capitals in a host");
        assert_eq!(found("cr.org/Team/b:1"), some(Flaw::Capitals, "T"));
        assert_eq!(found("Nginx"), some(Flaw::Capitals, "N"));
        assert_eq!(found("a/b:1 "), some(Flaw::Blank, " "));
        assert_eq!(found("a/b:1\r\n"), some(Flaw::Invisible, "\r"));
        assert_eq!(found("a/\u{200b}b"), some(Flaw::Invisible, "\u{200b}"));
        assert_eq!(found("https://cr.org/a"), some(Flaw::Scheme, "https://"));
        assert_eq!(found("cr.org/a:${TAG}"), some(Flaw::Variable, "${TAG}"));
        assert_eq!(found("cr.org/a:"), some(Flaw::Variable, ""));
        assert_eq!(found("%REPO%:%TAG%"), some(Flaw::Variable, "%REPO%"));
        assert_eq!(found("cr.org/a:__TAG__"), some(Flaw::Variable, "__TAG__"));
        assert_eq!(found("cr.org/__a__:1"), None);
        assert_eq!(found("cr.org/a@sha256:0Ab"), None);
    }
}
