//! `/metrics`: what the server counts, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use crate::Server;

/// Verbs that are counted by name; the rest is `OTHER`, so that clients can't make series.
const VERBS: [&str; 9] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "OTHER"];

/// Counts requests by verb and code.
#[derive(Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(usize, u16), u64>>,
}

impl Metrics {
    /// Counts an answered request.
    pub fn count(&self, verb: &str, code: u16) {
        let verb = VERBS.iter().position(|known| *known == verb).unwrap_or(VERBS.len() - 1);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((verb, code)).or_default() += 1;
    }

    /// Everything, as text.
    pub fn text(&self, server: &Server) -> String {
        let mut out = String::new();
        head(&mut out, "apiserver_request_total", "counter", "Answered requests by verb and HTTP code.");
        for ((verb, code), n) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(
                out,
                "apiserver_request_total{{code=\"{code}\",verb=\"{}\"}} {n}",
                VERBS[*verb].to_uppercase()
            );
        }
        let view = server.store.view();
        head(&mut out, "apiserver_storage_objects", "gauge", "Stored objects by resource.");
        for kind in view.catalogue().kinds().iter().filter(|kind| view.n_objects(kind.id) > 0) {
            let _ = writeln!(
                out,
                "apiserver_storage_objects{{resource=\"{}\"}} {}",
                kind.qualified(),
                view.n_objects(kind.id)
            );
        }
        head(&mut out, "shipmate_store_revision", "gauge", "Revision of the latest write.");
        let _ = writeln!(out, "shipmate_store_revision {}", view.revision());
        if let Some(bytes) = resident_bytes() {
            head(&mut out, "process_resident_memory_bytes", "gauge", "Resident memory of this process.");
            let _ = writeln!(out, "process_resident_memory_bytes {bytes}");
        }
        out
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Resident memory, from /proc/self/status.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
