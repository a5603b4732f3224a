//! Background processes: started, found again, and ended.
//!
//! A pidfile names a process by its id, start time and the boot it belongs to,
//! so that a process id that the kernel used again is never taken for ours.
//! Deliberately absent: supervision. Nothing watches these processes; the next
//! `start` puts right what has ended.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::command::path_variable;
use crate::layout::{make_dir, remove_file, write_atomic};
use crate::{Error, Result};

/// A log that is longer than this when its process starts becomes `*.log.1`.
const MAX_LOG_BYTES: u64 = 8 * 1024 * 1024;
/// Soft limit of open files, as the service files of containerd and kubelet set it.
const MAX_OPEN_FILES: u64 = 1024 * 1024;
/// Variables that background processes inherit: proxies are for image pulls.
const KEPT: [&str; 10] = [
    "HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "TZ",
];
/// How often something that is waited for is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// A process, told apart from any later one with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot (proc(5), field 22 of `stat`).
    pub started: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
}

impl ProcessId {
    /// Identifies a running process; `None` if it does not run.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: start_time(pid)?, boot: boot_id()? })
    }

    /// Reads a pidfile; `None` if there is none or its process does not run.
    #[must_use]
    pub fn running(pidfile: &Path) -> Option<Self> {
        let id: Self = serde_json::from_slice(&fs::read(pidfile).ok()?).ok()?;
        id.alive().then_some(id)
    }

    /// Whether this very process still runs. A zombie does not.
    #[must_use]
    pub fn alive(&self) -> bool {
        start_time(self.pid) == Some(self.started) && boot_id().as_ref() == Some(&self.boot)
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Asks it to end, waits `grace`, then kills it. Returns when it has ended.
    pub fn end(&self, grace: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM);
        if wait_until(grace, || !self.alive()) {
            return Ok(());
        }
        self.signal(Signal::SIGKILL);
        if wait_until(Duration::from_secs(5), || !self.alive()) {
            return Ok(());
        }
        Err(Error::refused(format!(
            "process {} does not end, even when killed: it waits for the kernel; see `cat /proc/{}/stack`",
            self.pid, self.pid
        )))
    }
}

/// Ends the process of a pidfile, if it runs, and removes the file.
pub fn end(pidfile: &Path, grace: Duration) -> Result<()> {
    if let Some(process) = ProcessId::running(pidfile) {
        process.end(grace)?;
    }
    remove_file(pidfile)
}

/// A command that will run in the background, detached from this terminal.
#[derive(Debug)]
pub struct Daemon<'a> {
    /// The program, its arguments and environment.
    pub command: Command,
    /// Receives its stdout and stderr.
    pub log: &'a Path,
    /// Receives its [`ProcessId`].
    pub pidfile: &'a Path,
}

impl Daemon<'_> {
    /// Starts it through `spawn`, which decides in which namespaces it runs.
    pub fn start(self, spawn: impl FnOnce(Command) -> io::Result<Child>) -> Result<ProcessId> {
        settle();
        for file in [self.log, self.pidfile] {
            if let Some(parent) = file.parent() {
                make_dir(parent)?;
            }
        }
        let log = open_log(self.log)?;
        let program = self.command.get_program().to_owned();
        let mut command = in_new_session(&self.command);
        let failed = |source| Error::System { action: format!("start {}", program.display()), source };
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        let mut child = spawn(command).map_err(failed)?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        // Identified before anything could reap it, so a pidfile is always written.
        let id = ProcessId::of(pid);
        // Should we live longer than it does, it must not stay as a zombie. The
        // thread ends with the process that it waits for.
        std::thread::spawn(move || child.wait());
        let id = id.ok_or_else(|| failed(io::Error::other(format!("it ended at once; see {}", self.log.display()))))?;
        let bytes =
            serde_json::to_vec(&id).map_err(|error| Error::refused(format!("cannot write a pidfile: {error}")))?;
        write_atomic(self.pidfile, &bytes, 0o644)?;
        Ok(id)
    }
}

/// The same command under `setsid`, which calls setsid(2) and then becomes the
/// program: std has no safe way to do it between fork and exec. Of our
/// environment it gets only what is the same for every user and terminal.
fn in_new_session(command: &Command) -> Command {
    let mut session = Command::new("setsid");
    session.arg("--").arg(command.get_program()).args(command.get_args()).current_dir("/").env_clear();
    session.env("PATH", path_variable());
    session.envs(std::env::vars_os().filter(|(name, _)| KEPT.iter().any(|kept| name == kept)));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        session.current_dir(dir);
    }
    session
}

/// What a service manager would see to: files that others may read, and as many
/// open ones as allowed. Both belong to the whole process and are inherited.
fn settle() {
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.min(MAX_OPEN_FILES);
        if soft < wanted {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
        }
    }
}

fn open_log(path: &Path) -> Result<File> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_LOG_BYTES) {
        let mut old = path.as_os_str().to_owned();
        old.push(".1");
        fs::rename(path, &old).map_err(Error::file("rotate", path))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o640).open(path).map_err(Error::file("open", path))
}

/// Looks again and again until `done`, or until the time is over.
pub(crate) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

/// Every process id at this moment.
pub(crate) fn all_pids() -> Vec<i32> {
    let Ok(listing) = fs::read_dir("/proc") else { return Vec::new() };
    listing.filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Processes that were started with this variable in their environment.
pub(crate) fn with_environment(name: &str, value: &str) -> Vec<ProcessId> {
    let wanted = format!("{name}={value}");
    all_pids()
        .into_iter()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
        })
        .filter_map(ProcessId::of)
        .collect()
}

fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim_end().to_owned())
}

/// Start time of a process that runs; `None` for one that has ended, reaped or not.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

fn parse_stat(stat: &str) -> Option<u64> {
    // The second field is the name in parentheses; it may itself contain any character.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse_stat(&format!("7 (sh) {tail}")), Some(4242));
        assert_eq!(parse_stat(&format!("7 (a) b (c)) {tail}")), Some(4242));
        assert_eq!(parse_stat(&format!("7 (sh) {}", tail.replacen('S', "Z", 1))), None);
        assert_eq!(parse_stat("7 (sh"), None);
    }

    #[test]
    fn a_daemon_is_found_by_its_pidfile_until_it_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let (log, pidfile) = (dir.path().join("log/d.log"), dir.path().join("run/d.pid"));
        let mut command = Command::new("sh");
        command.args(["-c", "echo started by $WHO; exec sleep 600"]).env("WHO", "test");
        let daemon = Daemon { command, log: &log, pidfile: &pidfile };
        let id = daemon.start(|mut command| command.spawn()).unwrap();
        assert_eq!(ProcessId::running(&pidfile), Some(id.clone()));
        assert!(wait_until(Duration::from_secs(10), || fs::read_to_string(&log).unwrap() == "started by test\n"));
        assert_eq!(with_environment("WHO", "test"), std::slice::from_ref(&id));
        end(&pidfile, Duration::from_secs(5)).unwrap();
        assert!(!id.alive() && !pidfile.exists());
        end(&pidfile, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_used_again_process_id_is_not_ours() {
        let mut id = ProcessId::of(std::process::id().cast_signed()).unwrap();
        assert!(id.alive());
        id.started += 1;
        assert!(!id.alive());
        let mut id = ProcessId::of(std::process::id().cast_signed()).unwrap();
        id.boot = "another".to_owned();
        assert!(!id.alive());
    }
}
