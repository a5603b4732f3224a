//! The machine that is measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Cores, memory, kernel, versions.
pub(crate) fn describe(shipmate: &Path) -> Vec<(&'static str, String)> {
    let first_line = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or("unknown").to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = read("/proc/loadavg");
    vec![
        ("processor", format!("{cores} cores, {}", cpu_model())),
        ("memory", format!("{} MB", memory_kib() / 1024)),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("load before", load.split_whitespace().next().unwrap_or_default().to_owned()),
        ("shipmate", first_line(shipmate, &["--version"])),
        ("containerd", first_line(Path::new("containerd"), &["--version"])),
        ("runc", first_line(Path::new("runc"), &["--version"])),
        ("kubectl", first_line(Path::new("kubectl"), &["version", "--client"])),
    ]
}

/// A thousand watchers are a thousand sockets.
pub(crate) fn raise_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // With the old limit the benchmark that needs more says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn cpu_model() -> String {
    let text = read("/proc/cpuinfo");
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or_else(|| "unknown model".to_owned(), |line| line.trim_start_matches([' ', '\t', ':']).to_owned())
}

fn memory_kib() -> u64 {
    let text = read("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
