//! A home for clusters, with its own kubeconfig and its own cluster names, that nothing else uses.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::machine::{self, Slot};
use super::program::{Answer, Running, words};
use super::{leftovers, report};

/// The binary under test.
pub const SHIPMATE: &str = env!("CARGO_BIN_EXE_shipmate");
/// Set to keep the clusters of a story that failed.
const KEEP: &str = "SHIPMATE_TEST_KEEP";

/// Where the clusters of one story lie. Dropping it deletes them, and insists that nothing is left.
pub struct Place {
    dir: tempfile::TempDir,
    prefix: String,
    names: Mutex<Vec<String>>,
    _slot: Slot,
}

impl Place {
    pub fn new(purpose: &str) -> Self {
        machine::require();
        let slot = Slot::take();
        // Directly below /tmp: sockets lie in it, and their paths must be short.
        let dir = tempfile::Builder::new().prefix("sm-").tempdir_in("/tmp").unwrap();
        let prefix = format!("e{}-{purpose}", std::process::id());
        Self { dir, prefix, names: Mutex::default(), _slot: slot }
    }

    /// A name for a cluster here.
    pub fn name(&self, suffix: &str) -> String {
        let name = format!("{}{suffix}", self.prefix);
        let mut names = self.names.lock().unwrap();
        if !names.contains(&name) {
            names.push(name.clone());
        }
        name
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn home(&self) -> PathBuf {
        self.dir().join("h")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.dir().join("kubeconfig")
    }

    /// Writes a file; its path has no spaces.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A program in this place's surroundings.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let tools = machine::tool("kubectl").parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(tools).chain(std::env::split_paths(&path));
        let path: OsString = std::env::join_paths(dirs).unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(self.dir())
            .env("PATH", path)
            .env("HOME", self.dir())
            .env("KUBECONFIG", self.kubeconfig())
            .env("SHIPMATE_HOME", self.home());
        command
    }

    /// Runs the binary to its end.
    #[track_caller]
    pub fn shipmate(&self, line: &str) -> Answer {
        let _alone = line.split(" ").any(|word| word == "start").then(machine::alone);
        self.spawn(line).finish()
    }

    /// Starts the binary.
    pub fn spawn(&self, line: &str) -> Running {
        let mut command = self.command(SHIPMATE);
        command.args(words(line));
        Running::start(command)
    }

    /// Everything on this machine that is of clusters of this place.
    pub fn leftovers(&self) -> Vec<String> {
        leftovers::of(&self.names.lock().unwrap(), self.dir(), &self.home())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in self.names.lock().unwrap().iter() {
                report::print(self, name);
            }
            if std::env::var_os(KEEP).is_some() {
                eprintln!("kept in {}", self.dir().display());
                self.dir.disable_cleanup(true);
                return;
            }
        }
        let deleted = self.shipmate("delete --all");
        if !std::thread::panicking() {
            deleted.ok();
            assert_eq!(self.leftovers(), Vec::<String>::new(), "deletion left something behind");
        }
    }
}
