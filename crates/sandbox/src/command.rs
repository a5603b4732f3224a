//! Short-lived programs of the system: run, with their complaints in the error.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// Directories that root's PATH may lack (su, cron and sudo keep the user's).
const SYSTEM_DIRS: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin"];

/// Finds a program in PATH or where system programs are.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRS.map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// PATH for processes that we start: ours, with the system directories.
pub(crate) fn path_variable() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let dirs = std::env::split_paths(&path).chain(SYSTEM_DIRS.map(PathBuf::from));
    std::env::join_paths(dirs).unwrap_or(path)
}

/// Runs a program to its end; gives its stdout.
pub(crate) fn run(program: &str, args: &[&str], stdin: &str) -> Result<String> {
    let name = format!("{program} {}", args.join(" ")).trim_end().to_owned();
    let failed = |source| Error::System { action: format!("run `{name}`"), source };
    let file = find(program).unwrap_or_else(|| PathBuf::from(program));
    let mut child = Command::new(file)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // The inputs are smaller than a pipe's buffer, so this cannot wait for the program's output.
    if let Some(mut pipe) = child.stdin.take() {
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Error::Program { program: name, status: output.status, stderr })
}
