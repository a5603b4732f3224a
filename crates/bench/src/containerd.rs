//! containerd alone: what no cluster on it can be faster than.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// A containerd that nobody uses.
pub(crate) struct Containerd {
    dir: TempDir,
    child: Option<Child>,
}

impl Containerd {
    /// One that does not run yet and never did.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("sb-").tempdir_in("/var/tmp").context("make a directory")?;
        let path = dir.path().display();
        let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
        let config = format!(
            "version = 2\nroot = \"{path}/root\"\nstate = \"{path}/state\"\n\
             [grpc]\naddress = \"{path}/c.sock\"\n\
             [plugins.\"io.containerd.internal.v1.opt\"]\npath = \"{path}/opt\"\n\
             [{cri}.cni]\nconf_dir = \"{path}/cni\"\n"
        );
        std::fs::write(dir.path().join("config.toml"), config).context("write containerd's configuration")?;
        Ok(Self { dir, child: None })
    }

    /// Starts it; how long it takes until CRI answers.
    pub(crate) async fn start(&mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut command = Command::new("containerd");
        command.arg("--config").arg(self.path("config.toml"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.context("start containerd")?);
        cri::Runtime::new(self.path("c.sock"))?.ready(PATIENCE).await?;
        Ok(started.elapsed())
    }

    /// Ends it; what it wrote stays.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        child.wait()?;
        // The next one must not be taken for ready because of the last one's socket.
        let _gone = std::fs::remove_file(self.path("c.sock"));
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("containerd in {} is not ended: {error:#}", self.dir.path().display());
        }
    }
}
