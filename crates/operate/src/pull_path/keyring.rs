//! Which credentials of a pull secret apply to an image: the kubelet's matching.
//!
//! Keys of a docker configuration are hosts with an optional port and path, where each part of the host may have `*`. The
//! key whose name sorts last is tried first (Kubernetes, `pkg/credentialprovider`, keyring and `URLsMatch`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cri::import::ImageName;
use serde_json::Value;

use crate::registry::Credentials;

/// Where Docker keeps the credentials of its own hub.
const HUB_KEYS: [&str; 2] = ["index.docker.io", "docker.io"];

/// The entry that applies.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key, as it is written.
    pub key: String,
    /// The credentials; `None` when the entry has none that can be used.
    pub credentials: Option<Credentials>,
}

/// Keys of a docker configuration (`.dockerconfigjson`, or the older `.dockercfg`).
///
/// # Errors
/// When it is no JSON of that form.
pub fn keys(config: &str) -> Result<Vec<String>, String> {
    Ok(entries(config)?.into_iter().map(|(key, _)| key).collect())
}

/// The entries that apply to an image, the one that is tried first in front.
///
/// # Errors
/// When the configuration is no JSON of that form.
pub fn matching(config: &str, image: &ImageName) -> Result<Vec<Entry>, String> {
    let mut entries = entries(config)?;
    entries.sort_by_key(|(key, _)| std::cmp::Reverse(normal(key)));
    let target = format!("{}/{}", image.domain, image.repository);
    let fits = |key: &str| {
        let normal = normal(key);
        matches(&normal, &target)
            || (image.domain == "docker.io" && HUB_KEYS.contains(&normal.split('/').next().unwrap_or("")))
    };
    let found = entries.into_iter().filter(|(key, _)| fits(key));
    Ok(found.map(|(key, value)| Entry { credentials: credentials(&value), key }).collect())
}

fn entries(config: &str) -> Result<Vec<(String, Value)>, String> {
    let config: Value = serde_json::from_str(config).map_err(|error| format!("it is no JSON: {error}"))?;
    let table = match config.get("auths") {
        Some(auths) => auths.clone(),
        None => config,
    };
    let Value::Object(table) = table else { return Err("it has no table of hosts (`auths`)".to_owned()) };
    Ok(table.into_iter().collect())
}

fn credentials(entry: &Value) -> Option<Credentials> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    if let Some(token) = text("registrytoken") {
        return Some(Credentials::token(token));
    }
    if let Some(auth) = text("auth") {
        let decoded = BASE64.decode(auth.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        return Some(Credentials::new(user, password.trim_end_matches('\0')));
    }
    Some(Credentials::new(text("username")?, text("password")?))
}

/// A key without scheme, and without the API version that old tools wrote behind the host.
fn normal(key: &str) -> String {
    let rest = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let path = path.strip_prefix("/v1/").or(path.strip_prefix("/v2/")).map_or(path.clone(), |path| format!("/{path}"));
    if path == "/" || path.is_empty() { host.to_owned() } else { format!("{host}{path}") }
}

/// Whether a key is for an image: same port, host parts that match one by one, and a path that begins the image's.
fn matches(key: &str, target: &str) -> bool {
    let split = |text: &str| {
        let (authority, path) =
            text.split_once('/').map_or((text.to_owned(), String::new()), |(a, p)| (a.to_owned(), format!("/{p}")));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains('[') || host.ends_with(']') => (host.to_owned(), port.to_owned()),
            _ => (authority, String::new()),
        };
        (host, port, path)
    };
    let ((host, port, path), (target_host, target_port, target_path)) = (split(key), split(target));
    let (parts, target_parts): (Vec<&str>, Vec<&str>) = (host.split('.').collect(), target_host.split('.').collect());
    port == target_port
        && target_path.starts_with(&path)
        && parts.len() == target_parts.len()
        && parts.iter().zip(&target_parts).all(|(part, target)| glob(part, target))
}

/// `*` stands for any characters, `?` for one.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(config: &str, image: &str) -> Option<String> {
        matching(config, &image.parse().unwrap()).unwrap().first().map(|entry| entry.key.clone())
    }

    #[test]
    fn keys_match_as_the_kubelet_does() {
        let config = |key: &str| format!(r#"{{"auths": {{"{key}": {{"username": "u", "password": "p"}}}}}}"#);
        let fits = |key: &str, image: &str| first(&config(key), image).is_some();
        assert!(fits("reg.example:5000", "reg.example:5000/app:1"));
        assert!(fits("https://reg.example:5000/v2/", "reg.example:5000/app:1"));
        assert!(fits("*.example", "reg.example/app"));
        assert!(fits("reg.example/team", "reg.example/team/app"));
        assert!(fits("https://index.docker.io/v1/", "nginx"));
        assert!(!fits("reg.example", "reg.example:5000/app:1"));
        assert!(!fits("*.example", "a.reg.example/app"));
        assert!(!fits("reg.example/other", "reg.example/team/app"));
        assert!(!fits("registry.example", "reg.example/app"));
    }

    #[test]
    fn the_longer_path_wins() {
        let config = r#"{"auths": {"r.io": {"auth": "YTpi"}, "r.io/team": {"auth": "YTpi"}}}"#;
        assert_eq!(first(config, "r.io/team/app").as_deref(), Some("r.io/team"));
        assert_eq!(first(config, "r.io/app").as_deref(), Some("r.io"));
    }

    #[test]
    fn any_bytes_are_taken() {
        for odd in ["", "[]", "{}", "{\"auths\": 1}", "{\"auths\": {\"\": {\"auth\": \"!\"}}}", "nul"] {
            let _ = matching(odd, &"nginx".parse().unwrap());
        }
        assert_eq!(keys(r#"{"auths": {"a": {}}}"#).unwrap(), ["a"]);
    }
}
