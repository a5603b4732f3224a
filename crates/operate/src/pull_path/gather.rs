//! Reads the files that decide about a pull on a node: only those that the resolution asks for.

use std::time::Duration;

use cri::import::ImageName;

use super::files::{Files, Found};
use super::{Note, PullPath, resolve};
use crate::access::{Access, AccessError};
use crate::collect::node::CONFIGS;

const LIMIT: Duration = Duration::from_secs(20);
/// Each round asks for the files that the one before found out about; more are a loop.
const MAX_ROUNDS: usize = 12;
/// No file of a configuration is larger.
const MAX_FILE: usize = 1 << 20;
/// Tells what is at a path: a letter, then its content.
const LOOK: &str = "if [ -d \"$1\" ]; then echo d; ls -A -- \"$1\"; elif [ -e \"$1\" ]; then echo f; cat -- \"$1\"; \
    else echo m; fi";

/// Tells the proxies in the environment of the containerd that has this configuration or none named.
const PROXIES: &str = "for p in $(pidof containerd); do tr '\\0' '\\n' < /proc/$p/environ | \
    grep -iE '^(https?|all)_proxy=.'; done | sort -u";

/// A way, and the files that it was found in.
pub struct Gathered {
    /// The way.
    pub path: PullPath,
    /// The configuration's main file.
    pub main: String,
    /// The files.
    pub files: Files,
}

/// The way of a reference on a node.
///
/// # Errors
/// When the node can't be asked.
pub async fn gather(access: &dyn Access, image: &ImageName, version: &str) -> Result<Gathered, AccessError> {
    let mut files = Files::default();
    let main = main(access).await?;
    for _ in 0..MAX_ROUNDS {
        let path = resolve(image, &mut files, main, version);
        let wanted = files.take_wanted();
        if wanted.is_empty() {
            let mut path = path;
            path.notes.extend(proxies(access).await);
            return Ok(Gathered { path, main: main.to_owned(), files });
        }
        for path in wanted {
            let found = look(access, &path).await?;
            files.set(path, found);
        }
    }
    let path = resolve(image, &mut files, main, version);
    Ok(Gathered { path, main: main.to_owned(), files })
}

/// The configuration of the containerd that the kubelet uses: a distribution's own goes before one of somebody else.
async fn main(access: &dyn Access) -> Result<&'static str, AccessError> {
    let arguments = ["-c", "for f; do [ -e \"$f\" ] && printf '%s\\n' \"$f\"; done; true", "sh"];
    let ran = access.run("sh", &[&arguments[..], &CONFIGS[..]].concat(), None, LIMIT).await?;
    let there = String::from_utf8_lossy(&ran.stdout).into_owned();
    Ok(CONFIGS.into_iter().rev().find(|path| there.lines().any(|line| line == *path)).unwrap_or(CONFIGS[0]))
}

/// Proxies that containerd would use, and that are not used here.
async fn proxies(access: &dyn Access) -> Option<Note> {
    let ran = access.run("sh", &["-c", PROXIES], None, LIMIT).await.ok()?;
    let text = String::from_utf8_lossy(&ran.stdout);
    let names: Vec<String> = text.lines().filter_map(without_password).collect();
    let words = format!("containerd asks through a proxy ({}); here it is tried without", names.join(", "));
    (!names.is_empty()).then_some(Note { words, place: None, bypassed: false })
}

/// `HTTPS_PROXY=http://proxy:3128`, without the user and password that may be in it.
fn without_password(line: &str) -> Option<String> {
    let (name, url) = line.split_once('=')?;
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    Some(format!("{name}={scheme}://{host}"))
}

async fn look(access: &dyn Access, path: &str) -> Result<Found, AccessError> {
    let ran = access.run("sh", &["-c", LOOK, "sh", path], None, LIMIT).await?;
    if !ran.succeeded() {
        let words = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
        return Ok(Found::Unreadable(words));
    }
    if ran.stdout.len() > MAX_FILE {
        return Ok(Found::Unreadable("it is larger than 1 MiB".to_owned()));
    }
    let text = String::from_utf8_lossy(&ran.stdout);
    Ok(match text.split_once('\n') {
        Some(("d", names)) => Found::Directory(names.lines().map(str::to_owned).collect()),
        Some(("f", text)) => Found::File(text.to_owned()),
        _ => Found::Missing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_not_told() {
        let told = |line: &str| without_password(line).unwrap();
        assert_eq!(told("HTTPS_PROXY=http://bob:s3cret@proxy:3128"), "HTTPS_PROXY=http://proxy:3128");
        assert_eq!(told("https_proxy=proxy:3128"), "https_proxy=http://proxy:3128");
    }
}
