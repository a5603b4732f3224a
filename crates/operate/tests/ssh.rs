//! Nodes behind the user's own OpenSSH: a real `sshd` on this machine, with keys and configuration of its own.
//!
//! They need root, `sshd` and `ssh`: Debian's `openssh-server` and `openssh-client`.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use doctor::ItemKind;
use operate::access::{Access, AccessError, Ssh};
use operate::collect::node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LIMIT: Duration = Duration::from_secs(30);

/// An `sshd` that lets one key in. It ends with this.
struct Sshd {
    child: Child,
    place: tempfile::TempDir,
    /// The directory that sshd insists on, if it was made for this.
    made: Option<PathBuf>,
}

impl Sshd {
    fn start() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "sshd lets people in as root only when it is root");
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let keygen = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
            assert!(keygen.expect("ssh-keygen is missing: install openssh-client").success());
        }
        let separation = Path::new("/run/sshd");
        let made = (!separation.exists()).then(|| {
            fs::create_dir_all(separation).unwrap();
            separation.to_owned()
        });
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nAllowStreamLocalForwarding yes\nMaxStartups 100\n",
            path("host"),
            path("user.pub"),
        );
        fs::write(path("sshd_config"), server).unwrap();
        let client = format!(
            "Host node-x\n  HostName 127.0.0.1\n  Port {port}\n  User root\nHost node-away\n  HostName 127.0.0.1\n  Port 1\n\
             Host *\n  IdentityFile {}\n  IdentitiesOnly yes\n  StrictHostKeyChecking accept-new\n  UserKnownHostsFile {}\n",
            path("user"),
            path("known_hosts"),
        );
        fs::write(path("ssh_config"), client).unwrap();
        let mut child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &path("sshd_config")])
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd is missing: install openssh-server");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = lines.any(|line| line.unwrap().contains("Server listening on"));
        assert!(listening, "sshd ended before it listened");
        // Its later words go nowhere, but somebody has to take them.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, place, made }
    }

    fn config(&self) -> PathBuf {
        self.place.path().join("ssh_config")
    }

    fn node(&self, name: &str) -> Ssh {
        Ssh::new(name, name).with_config(&self.config())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(made) = &self.made {
            let _ = fs::remove_dir(made);
        }
    }
}

#[tokio::test]
async fn a_node_behind_ssh_is_looked_at_and_one_that_is_away_is_told() {
    let sshd = Sshd::start();
    programs(&sshd).await;
    sockets(&sshd).await;
    names(&sshd).await;
    evidence(&sshd).await;
}

/// Words and input reach programs as they are, and their exit codes come back.
async fn programs(sshd: &Sshd) {
    let node = sshd.node("node-x");
    let words = ["-c", "cat; printf '%s|' \"$@\"; exit 7", "sh", "a  b", "it's $HOME", ""];
    let ran = node.run("sh", &words, Some(b"in "), LIMIT).await.unwrap();
    assert_eq!((ran.code, ran.text().as_str()), (Some(7), "in a  b|it's $HOME||"));
    let away = sshd.node("node-away").run("true", &[], None, LIMIT).await.unwrap_err();
    assert!(matches!(&away, AccessError::Unreachable { why, .. } if why.contains("refused")), "{away}");
    let slow = node.run("sleep", &["1000"], None, Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(slow, AccessError::TooSlow { .. }), "{slow}");
}

/// A Unix socket there is one here, for as long as it is held.
async fn sockets(sshd: &Sshd) {
    let path = sshd.place.path().join("there.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = [0; 5];
        stream.read_exact(&mut question).await.unwrap();
        stream.write_all(b"there").await.unwrap();
        question
    });
    let socket = sshd.node("node-x").socket(path.to_str().unwrap()).await.unwrap();
    let mut stream = tokio::net::UnixStream::connect(socket.path()).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!((answer.as_str(), &answering.await.unwrap()), ("there", b"hello"));
    let place = socket.path().to_owned();
    drop(socket);
    assert!(!place.exists(), "the way closes");
}

/// A name that the configuration knows is used; one that nobody knows gives way to the address.
async fn names(sshd: &Sshd) {
    let config = sshd.config();
    let known = Ssh::destination("ops@", "node-x", Some("10.0.0.9"), Some(&config)).await;
    assert_eq!(known, "ops@node-x");
    let unknown = Ssh::destination("", "no-such-node.invalid", Some("10.0.0.9"), Some(&config)).await;
    assert_eq!(unknown, "10.0.0.9");
}

/// Evidence of one node, and a word about the other.
async fn evidence(sshd: &Sshd) {
    let nodes: Vec<Arc<dyn Access>> = vec![Arc::new(sshd.node("node-x")), Arc::new(sshd.node("node-away"))];
    let items = node::collect_all(&nodes).await;
    let date = items.iter().find(|item| item.origin.0 == "node-x: date -u").unwrap();
    assert!(date.kind == ItemKind::NodeFacts && date.text.contains("UTC"), "{}", date.text);
    assert!(items.iter().any(|item| item.origin.0 == "node-x: findmnt -T /var/lib/containerd"
        || item.origin.0 == "node-x: ls -la /etc/cni/net.d"));
    let away: Vec<_> = items.iter().filter(|item| item.origin.node() == Some("node-away")).collect();
    assert_eq!(away.len(), 1, "{away:?}");
    assert!(away[0].kind == ItemKind::Unavailable && away[0].text.contains("can't be reached"), "{}", away[0].text);
}
