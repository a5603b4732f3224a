//! What this machine must have, and how many stories it bears at a time.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// As many clusters as two cores bear without stories that wait for them running out of patience.
const SLOTS: u32 = 2;

/// A program of Kubernetes that the tests bring: `SHIPMATE_TEST_TOOLS` says where, or `cargo xtask test` put it
/// below `target/tools`.
pub fn tool(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let tools = std::env::var_os("SHIPMATE_TEST_TOOLS").map_or(workspace, PathBuf::from);
    let path = tools.join(name);
    assert!(path.exists(), "{} is missing: `cargo xtask test` installs it", path.display());
    path.canonicalize().unwrap()
}

/// Insists on everything that clusters with containers need.
pub fn require() {
    assert!(nix::unistd::geteuid().is_root(), "these tests make namespaces and containers: run them as root");
    for program in ["containerd", "runc", "nft", "ip", "busybox", "tar", "sha256sum", "setpriv", "script"] {
        assert!(find(program).is_some(), "{program} is missing: `cargo xtask test` installs it");
    }
    tool("kubectl");
}

/// A program on `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The right to have clusters, as long as it is held.
pub struct Slot(#[expect(dead_code, reason = "held, never read")] Flock<File>);

impl Slot {
    /// Waits for one, also for those of other test programs.
    pub fn take() -> Self {
        let open = |number| File::create(std::env::temp_dir().join(format!("shipmate-tests-{number}.lock"))).unwrap();
        for number in 0..SLOTS {
            if let Ok(slot) = Flock::lock(open(number), FlockArg::LockExclusiveNonblock) {
                return Self(slot);
            }
        }
        let number = std::process::id() % SLOTS;
        Self(lock(open(number)))
    }
}

/// Held while a cluster is made: clusters of different homes do not know of one another, and would choose one port.
pub fn alone() -> Flock<File> {
    lock(File::create(std::env::temp_dir().join("shipmate-tests-create.lock")).unwrap())
}

fn lock(file: File) -> Flock<File> {
    let mut file = file;
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(lock) => return lock,
            Err((again, Errno::EINTR)) => file = again,
            Err((_, error)) => panic!("lock: {error}"),
        }
    }
}
