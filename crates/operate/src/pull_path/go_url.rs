//! URLs as Go reads them, with Go's words for what it refuses: containerd is a Go program, and its words are in events.
//!
//! Only what endpoints need of `net/url`'s `Parse`: scheme, host, path.

/// A URL in the parts that containerd uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GoUrl {
    pub(super) scheme: String,
    /// With its port, as written.
    pub(super) host: String,
    pub(super) path: String,
}

impl GoUrl {
    /// Reads a URL; the error is Go's.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        read(text).map_err(|problem| format!("parse {}: {problem}", quoted(text)))
    }
}

fn read(text: &str) -> Result<GoUrl, String> {
    // The fragment is cut off first.
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (scheme, rest) = scheme(text)?;
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            return Ok(GoUrl { scheme, ..GoUrl::default() }); // Opaque.
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let (mut host, mut path) = (String::new(), rest.to_owned());
    if (!scheme.is_empty() || !rest.starts_with("///"))
        && let Some(after) = rest.strip_prefix("//")
    {
        let (authority, rest) = after.find('/').map_or((after, ""), |at| after.split_at(at));
        host = read_authority(authority)?;
        path = rest.to_owned();
    }
    Ok(GoUrl { scheme, host, path: unescaped(&path, false)? })
}

/// What stands before the first colon, if it could be a scheme.
fn scheme(text: &str) -> Result<(String, &str), String> {
    for (at, character) in text.char_indices() {
        match character {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((text[..at].to_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

fn read_authority(authority: &str) -> Result<String, String> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = match host.strip_prefix('[') {
        Some(_) => {
            let Some(end) = host.rfind(']') else { return Err("missing ']' in host".to_owned()) };
            &host[end + 1..]
        }
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let valid = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    if !valid {
        return Err(format!("invalid port {} after host", quoted(port)));
    }
    unescaped(host, true)
}

/// Takes percent escapes away; a host may have none, and not every character.
fn unescaped(text: &str, host: bool) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'%' {
            let escape = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
            let value = escape.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            let Some(value) = value.filter(|value| !host || *value >= 0x80 || *value == b'%') else {
                let end = text.char_indices().map(|(i, _)| i).find(|i| *i >= at + 3).unwrap_or(text.len());
                return Err(format!("invalid URL escape {}", quoted(&text[at..end])));
            };
            found.push(value);
            at += 3;
            continue;
        }
        let fine = byte >= 0x80 || byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte);
        if host && !fine {
            return Err(format!("invalid character {} in host name", quoted(&char::from(byte).to_string())));
        }
        found.push(byte);
        at += 1;
    }
    Ok(String::from_utf8_lossy(&found).into_owned())
}

/// A string as Go's `%q` writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            plain if plain.is_ascii_graphic() || plain == ' ' => out.push(plain),
            control if u32::from(control) < 0x80 => out.push_str(&format!("\\x{:02x}", u32::from(control))),
            hidden if doctor::text::is_invisible(hidden) => out.push_str(&format!("\\u{:04x}", u32::from(hidden))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        GoUrl::parse(text).unwrap_err()
    }

    #[test]
    fn what_go_refuses_is_refused_in_its_words() {
        // As containerd 1.6.20 said it.
        assert_eq!(
            refused(" http://172.31.0.1:5000"),
            r#"parse " http://172.31.0.1:5000": first path segment in URL cannot contain colon"#
        );
        assert_eq!(
            refused("http://172.31.0.1:5000 "),
            r#"parse "http://172.31.0.1:5000 ": invalid port ":5000 " after host"#
        );
        assert_eq!(
            refused("\thttp://172.31.0.1:5000"),
            r#"parse "\thttp://172.31.0.1:5000": net/url: invalid control character in URL"#
        );
        assert_eq!(
            refused("https:// http://172.31.0.1:5000"),
            r#"parse "https:// http://172.31.0.1:5000": invalid character " " in host name"#
        );
        assert_eq!(
            refused("\u{200b}http://h:5000"),
            r#"parse "\u200bhttp://h:5000": first path segment in URL cannot contain colon"#
        );
    }

    #[test]
    fn what_go_reads_is_read() {
        let url = |text: &str| {
            let url = GoUrl::parse(text).unwrap();
            (url.scheme, url.host, url.path)
        };
        let parts = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(url("http://h:5000/a/b"), parts("http", "h:5000", "/a/b"));
        assert_eq!(url("HTTPS://h"), parts("https", "h", ""));
        assert_eq!(url("https://http:/172.31.0.1:5000"), parts("https", "http:", "/172.31.0.1:5000"));
        assert_eq!(url("https://"), parts("https", "", ""));
        assert_eq!(url("http://[::1]:5000"), parts("http", "[::1]:5000", ""));
        assert_eq!(url("h/x"), parts("", "", "h/x"));
    }

    #[test]
    fn any_text_is_taken() {
        for odd in ["", ":", "%", "http://%", "http://[", "//", "///", "a:b", "http://é%zz", "%zé", "http://h:%"] {
            let _ = GoUrl::parse(odd);
        }
    }
}
