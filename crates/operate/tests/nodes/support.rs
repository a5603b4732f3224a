//! What the tests start: containerd, a registry, an sshd.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cri::Runtime;
use cri::import::{ImageBuilder, ImageSource};
use operate::access::Ssh;
use tempfile::TempDir;

/// Generous, for machines that are busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// alice, s3cret; by `htpasswd -B`.
const HTPASSWD: &str = "alice:$2y$05$UCwWb2aPvj/omVhniu.bv.5YRHOKV6RMiHz6R4JA1/QMPRV./1qMa\n";

/// A process that ends with its owner.
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Looks until it is so.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(LOOK);
    }
}

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.push("/usr/sbin".into());
    let found = directories.into_iter().map(|directory| directory.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: `cargo xtask test` installs it"))
}

/// An image of one file with this many bytes.
pub fn image(name: &str, size: usize) -> Arc<ImageSource> {
    let content: Vec<u8> = (0..size).map(|at| (at as u64).wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let names = vec![name.parse().unwrap()];
    Arc::new(ImageBuilder::new().file("/data", 0o644, content).config("Cmd", vec!["/data"]).build(names))
}

/// A containerd of its own.
pub struct Containerd {
    pub runtime: Runtime,
    dir: TempDir,
    process: Option<Process>,
    setup: String,
}

impl Containerd {
    /// With this behind its CRI plugin's settings.
    pub async fn start(extra: &str) -> Self {
        Self::start_after(extra, "").await
    }

    /// With its root on a small file system.
    pub async fn start_small(megabytes: u32) -> Self {
        Self::start_after(
            "",
            &format!("mkdir -p \"$0/root\" && mount -t tmpfs -o size={megabytes}m none \"$0/root\" && "),
        )
        .await
    }

    async fn start_after(extra: &str, setup: &str) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests make namespaces: run them as root");
        let dir = tempfile::Builder::new().prefix("sm-operate-").tempdir_in("/tmp").unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        let runtime = Runtime::new(dir.path().join("c.sock")).unwrap();
        let mut containerd = Self { runtime, dir, process: None, setup: setup.to_owned() };
        containerd.restart(extra).await;
        containerd
    }

    /// Starts it again with other settings.
    pub async fn restart(&mut self, extra: &str) {
        self.restart_with("version = 2\n", extra).await;
    }

    /// Starts it again with these lines first, among them the version, and further settings.
    pub async fn restart_with(&mut self, head: &str, extra: &str) {
        self.process = None;
        let dir = self.dir.path();
        let _ = fs::remove_file(dir.join("c.sock"));
        let base = dir.display();
        let text = format!(
            "{head}root = \"{base}/root\"\nstate = \"{base}/state\"\noom_score = 0\n[grpc]\n  address = \"{base}/c.sock\"\n\
             [ttrpc]\n  address = \"{base}/c.sock.ttrpc\"\n[plugins.\"io.containerd.internal.v1.opt\"]\n  path = \"{base}/opt\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\n  restrict_oom_score_adj = true\n{extra}\n"
        );
        fs::write(self.config(), text).unwrap();
        let script =
            format!("mount --bind \"$0/run\" /run && {} exec containerd --config \"$0/config.toml\"", self.setup);
        let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut command = Command::new(program("unshare"));
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).arg(dir);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(Process(command.spawn().unwrap()));
        let ready = self.runtime.ready(PATIENCE).await;
        assert!(ready.is_ok(), "{:?}\n{}", ready.err(), self.log());
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    pub fn socket(&self) -> String {
        self.dir.path().join("c.sock").display().to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Every name with its digest and labels.
    pub async fn names(&self) -> Vec<cri::NamedImage> {
        let mut names = self.runtime.named_images().await.unwrap();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        names
    }
}

/// The distribution's registry, over a directory that is filled beforehand.
pub struct Registry {
    pub host: String,
    _process: Process,
}

/// Puts an image into a registry's storage, as the registry keeps it.
pub fn store(root: &Path, repository: &str, tag: &str, source: &ImageSource) {
    let image = &source.images()[0];
    let base = root.join("docker/registry/v2");
    let repository = base.join("repositories").join(repository);
    let link = |path: PathBuf, digest: &str| {
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("link"), digest).unwrap();
    };
    for (digest, size) in source.blobs_of(image) {
        let hex = digest.as_str().strip_prefix("sha256:").unwrap();
        let bytes = source.read_blob(digest, 0, usize::try_from(size).unwrap()).unwrap().unwrap();
        let directory = base.join("blobs/sha256").join(&hex[..2]).join(hex);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("data"), &bytes).unwrap();
        link(repository.join("_layers/sha256").join(hex), digest.as_str());
    }
    let digest = image.target.digest.as_str();
    let hex = digest.strip_prefix("sha256:").unwrap();
    link(repository.join("_manifests/revisions/sha256").join(hex), digest);
    link(repository.join(format!("_manifests/tags/{tag}/current")), digest);
    link(repository.join(format!("_manifests/tags/{tag}/index/sha256")).join(hex), digest);
}

impl Registry {
    /// `more` is further settings, indented lines of YAML below `http:`, and behind them anything.
    pub fn start(storage: &Path, more: &str) -> Self {
        let host = format!("127.0.0.1:{}", free_port());
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {:?}}}}}\nhttp:\n  addr: {host:?}\n{more}",
            storage.display().to_string()
        );
        let file = storage.join(format!("{}.yml", host.replace(':', "-")));
        fs::write(&file, settings).unwrap();
        let mut command = Command::new(program("docker-registry"));
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process(command.spawn().unwrap());
        until("the registry answers", || TcpStream::connect(&host).is_ok());
        Self { host, _process: process }
    }
}

impl Registry {
    /// By TLS, with a certificate of an authority of its own, for `alice` with `s3cret`. Gives the authority's certificate.
    pub fn start_closed(storage: &Path) -> (Self, String) {
        let htpasswd = storage.join("htpasswd");
        fs::write(&htpasswd, HTPASSWD).unwrap();
        Self::start_secure(storage, "", &format!("auth: {{htpasswd: {{realm: test, path: {htpasswd:?}}}}}\n"))
    }

    /// By TLS, for those who show a certificate of the same authority: `client.pem` and `client.key` in the storage.
    pub fn start_for_clients(storage: &Path) -> (Self, String) {
        let authority = storage.join("authority.pem");
        Self::start_secure(storage, &format!(", clientcas: [{authority:?}]"), "")
    }

    fn start_secure(storage: &Path, tls: &str, more: &str) -> (Self, String) {
        let path = |name: &str| storage.join(name).display().to_string();
        let authority = rcgen::KeyPair::generate().unwrap();
        let mut of_authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        of_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        of_authority.distinguished_name.push(rcgen::DnType::CommonName, "the test's own authority");
        let certificate = of_authority.self_signed(&authority).unwrap();
        fs::write(path("authority.pem"), certificate.pem()).unwrap();
        let issuer = rcgen::Issuer::from_params(&of_authority, &authority);
        for (name, whose) in [("tls", "127.0.0.1"), ("client", "a-node")] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut of_one = rcgen::CertificateParams::new(vec![whose.to_owned()]).unwrap();
            of_one.extended_key_usages =
                vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            let signed = of_one.signed_by(&key, &issuer).unwrap();
            fs::write(path(&format!("{name}.pem")), signed.pem()).unwrap();
            fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        let (server, key) = (path("tls.pem"), path("tls.key"));
        let more = format!("  tls: {{certificate: {server:?}, key: {key:?}{tls}}}\n{more}");
        (Self::start(storage, &more), certificate.pem())
    }
}

/// An OpenSSH server on a free port that lets one key in, as root.
pub struct Sshd {
    dir: TempDir,
    _process: Process,
}

impl Sshd {
    /// With further lines in its configuration.
    pub fn start(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let mut command = Command::new(program("ssh-keygen"));
            let made = command.args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status().unwrap();
            assert!(made.success());
        }
        fs::copy(path("user.pub"), path("authorized")).unwrap();
        let port = free_port();
        let server = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n{more}\n",
            path("host"),
            path("authorized"),
        );
        fs::write(path("sshd.conf"), server).unwrap();
        let client = format!(
            "Host *\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  LogLevel ERROR\n",
            path("user"),
        );
        fs::write(path("client.conf"), client).unwrap();
        // Where it separates privileges; packages make it at boot.
        fs::create_dir_all("/run/sshd").unwrap();
        let mut command = Command::new(program("sshd"));
        command.args(["-D", "-e", "-f", &path("sshd.conf")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(path("log")).unwrap());
        let process = Process(command.spawn().unwrap());
        until("sshd answers", || {
            let mut first = [0; 4];
            TcpStream::connect(("127.0.0.1", port)).is_ok_and(|mut stream| stream.read_exact(&mut first).is_ok())
        });
        Self { dir, _process: process }
    }

    /// The way through it.
    pub fn access(&self, node: &str) -> Ssh {
        Ssh::new(node, node).with_config(&self.dir.path().join("client.conf"))
    }
}
