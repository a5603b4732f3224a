//! Reads the files that decide about a pull on a node: only those that the resolution asks for.

use std::time::Duration;

use cri::import::ImageName;

use super::files::{Files, Found};
use super::{PullPath, resolve};
use crate::access::{Access, AccessError};

const LIMIT: Duration = Duration::from_secs(20);
/// Each round asks for the files that the one before found out about; more are a loop.
const MAX_ROUNDS: usize = 12;
/// No file of a configuration is larger.
const MAX_FILE: usize = 1 << 20;
/// The configuration of containerd, and of the one that k3s brings.
const MAINS: [&str; 2] = ["/etc/containerd/config.toml", "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"];
/// Tells what is at a path: a letter, then its content.
const LOOK: &str = "if [ -d \"$1\" ]; then echo d; ls -A -- \"$1\"; elif [ -e \"$1\" ]; then echo f; cat -- \"$1\"; \
    else echo m; fi";

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
    let mut main = MAINS[0];
    for candidate in MAINS {
        let found = look(access, candidate).await?;
        let there = found != Found::Missing;
        files.set(candidate, found);
        if there {
            main = candidate;
            break;
        }
    }
    for _ in 0..MAX_ROUNDS {
        let path = resolve(image, &mut files, main, version);
        let wanted = files.take_wanted();
        if wanted.is_empty() {
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
