//! What every story needs: a [`Place`] of its own on this machine, a [`Cluster`] in it, programs with
//! a bound on their time, an image with a shell, and a look at everything that could be left behind.
//!
//! Invariant: no command and no wait is without an end, and a story that fails says what the cluster
//! was like. Deliberately absent: skipping. Without root or containerd the stories fail and say so.

mod cluster;
mod image;
mod leftovers;
mod machine;
mod manifest;
mod place;
mod program;
mod report;
mod table;

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

pub use cluster::Cluster;
pub use image::{IMAGE, archive};
pub use machine::tool;
pub use manifest::{pod, shell, with};
pub use place::{Place, SHIPMATE};
pub use program::{Answer, Running, words};
pub use table::{Row, table};

/// How long something that needs no more than the cluster's own work may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often something that nobody announces is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Looks until there is an answer; for what neither `kubectl wait` nor a watch can tell.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(LOOK);
    }
}

/// As [`eventually`], for a text that has to get something in it; shows the last one otherwise.
#[track_caller]
pub fn until(needle: &str, mut look: impl FnMut() -> String) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = look();
        if text.contains(needle) {
            return text;
        }
        assert!(Instant::now() < end, "{needle:?} did not come; at last there was:\n{text}");
        std::thread::sleep(LOOK);
    }
}

/// Insists that a text has something in it.
#[track_caller]
pub fn has(text: &str, needle: &str) {
    assert!(text.contains(needle), "{needle:?} is not in:\n{text}");
}

/// Insists that a text has something not in it.
#[track_caller]
pub fn lacks(text: &str, needle: &str) {
    assert!(!text.contains(needle), "{needle:?} is in:\n{text}");
}

/// The body that an HTTP server gives, or why there is none.
pub fn get(url: &str) -> Result<String, String> {
    const LIMIT: Duration = Duration::from_secs(5);
    let rest = url.strip_prefix("http://").expect("tests speak plain HTTP");
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let ask = || -> std::io::Result<String> {
        let address = authority.to_socket_addrs()?.next().expect("tests use addresses");
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = ask().map_err(|error| format!("GET {url}: {error}"))?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("GET {url}: no HTTP: {text:?}"))?;
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(format!("GET {url}: {head}")),
    }
}
