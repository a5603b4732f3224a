//! A node behind the user's own OpenSSH: its configuration, keys, agent and jump hosts apply, and nothing is installed.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::local::{Input, finish};
use super::piped::Piped;
use super::{Access, AccessError, Feed, Ran, Socket, Wire};

/// Exit code with which `ssh` tells of its own failures.
const SSH_FAILED: i32 = 255;
/// Printed before the program begins: whatever comes before is the login shell's.
const MARK: &str = "shipmate-begins:";
const BEGIN: &str = "printf %s \"$0\"; exec \"$@\"";
/// How long it may take to find out what a host's name means.
const LOOKUP: Duration = Duration::from_secs(5);
/// Carries a connection where sshd does not forward. The answer's end is the connection's.
const RELAY: &str = "exec 3<>\"/dev/tcp/$1/$2\" || exit 7; cat <&3 & cat >&3 2>/dev/null; wait";
/// How long a forwarded socket may take to be there.
const FORWARD: Duration = Duration::from_secs(15);

/// A node behind `ssh`.
pub struct Ssh {
    node: String,
    /// What `ssh` is told to connect to: a host of its configuration, or `user@address`.
    destination: String,
    /// A configuration file other than the user's, for `ssh -F`.
    config: Option<String>,
    /// Whether commands are run through `sudo -n` there.
    sudo: bool,
    /// Whether sshd was seen to forbid that connections are forwarded.
    forbidden: Arc<AtomicBool>,
}

impl Ssh {
    /// The node behind a destination.
    pub fn new(node: impl Into<String>, destination: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            destination: destination.into(),
            config: None,
            sudo: false,
            forbidden: Arc::default(),
        }
    }

    /// Uses this configuration file instead of the user's.
    #[must_use]
    pub fn with_config(mut self, path: &Path) -> Self {
        self.config = Some(path.to_string_lossy().into_owned());
        self
    }

    /// Runs commands through `sudo -n` there.
    #[must_use]
    pub fn with_sudo(mut self) -> Self {
        self.sudo = true;
        self
    }

    /// What to connect to for a node: its name if OpenSSH's configuration or the resolver knows it, else its address.
    /// `user` is `NAME@`, `NAME`, or empty for the configuration's.
    pub async fn destination(user: &str, node: &str, address: Option<&str>, config: Option<&Path>) -> String {
        let user = user.trim_end_matches('@');
        let host = match address {
            Some(address) if !is_known(node, config).await => address,
            _ => node,
        };
        if user.is_empty() { host.to_owned() } else { format!("{user}@{host}") }
    }

    fn command(&self) -> Command {
        // Warnings of its own (a new host key) are no words of the program that runs there.
        self.command_that_says("LogLevel=ERROR")
    }

    fn command_that_says(&self, level: &str) -> Command {
        let mut command = Command::new("ssh");
        // Never waits for a password that nobody can type: many nodes are asked at once.
        command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", level]);
        if let Some(config) = &self.config {
            command.args(["-F", config]);
        }
        command
    }

    /// The command that runs a program there.
    fn remote(&self, program: &str, arguments: &[&str]) -> Command {
        let mut words = vec!["env", "LC_ALL=C", "sh", "-c", BEGIN, MARK];
        if self.sudo {
            words.extend(["sudo", "-n", "--"]);
        }
        words.extend(std::iter::once(&program).chain(arguments));
        let remote = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let mut command = self.command();
        command.args(["--", &self.destination, &any_shell(&remote)]);
        command
    }

    /// Only the connection's bytes may come out, so nothing is printed before. A login shell that does is no way for this.
    fn relay(&self, host: &str, port: u16) -> Command {
        let words = ["bash", "-c", RELAY, "bash", host, &port.to_string()];
        let remote = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let mut command = self.command();
        command.args(["--", &self.destination, &remote]);
        command
    }

    /// What the program printed, without what the login shell printed before it.
    fn heard(&self, mut ran: Ran) -> Result<Ran, AccessError> {
        if ran.code == Some(SSH_FAILED) {
            return Err(self.unreachable(&String::from_utf8_lossy(&ran.stderr)));
        }
        match ran.stdout.windows(MARK.len()).position(|window| window == MARK.as_bytes()) {
            Some(at) => {
                ran.stdout.drain(..at + MARK.len());
                Ok(ran)
            }
            // The login shell never came to it: nologin, one that is no shell, a forced command.
            None => Err(self.unreachable(&format!("its login shell runs no commands: {}", last_line(&ran.text())))),
        }
    }

    fn unreachable(&self, words: &str) -> AccessError {
        let why = match host_key(words).unwrap_or_else(|| last_line(words).to_owned()) {
            none if none.is_empty() => "ssh gave no reason".to_owned(),
            why => why,
        };
        AccessError::Unreachable { node: self.node.clone(), why }
    }
}

/// Whether OpenSSH's configuration has another name for a host, or the resolver knows it.
async fn is_known(host: &str, config: Option<&Path>) -> bool {
    let mut command = Command::new("ssh");
    if let Some(config) = config {
        command.arg("-F").arg(config);
    }
    command.args(["-G", "--", host]);
    let told = finish(host, "ssh", command, Input::Nothing, LOOKUP).await.map(|ran| ran.text()).unwrap_or_default();
    let renamed = told.lines().any(|line| line.strip_prefix("hostname ").is_some_and(|name| name != host));
    renamed || matches!(tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 22))).await, Ok(Ok(_)))
}

/// What is wrong with a host's key: ssh tells it above its last line.
pub(super) fn host_key(words: &str) -> Option<String> {
    if words.contains("HOST IDENTIFICATION HAS CHANGED") {
        let place = words.lines().find_map(|line| line.trim().strip_prefix("Offending ")?.split_once(" key in "));
        let place = place.map(|(_, place)| format!(" ({})", place.trim())).unwrap_or_default();
        return Some(format!("its host key is not the one that is known{place}: find out why, then `ssh-keygen -R`"));
    }
    let unknown = words.lines().find(|line| line.contains(" host key is known for "))?;
    let line = unknown.split(" and you have").next().unwrap_or(unknown).trim();
    Some(format!("{line}: connect once by hand"))
}

fn last_line(words: &str) -> &str {
    words.trim().lines().last().unwrap_or_default().trim()
}

/// A command as csh takes it too, which knows no line breaks between quotes and looks for `!` even there.
fn any_shell(command: &str) -> String {
    if !command.contains(['\n', '!']) {
        return command.to_owned();
    }
    let octal: String = command.bytes().map(|byte| format!("\\0{byte:03o}")).collect();
    format!("env LC_ALL=C sh -c 'eval \"$(printf %b \"{octal}\")\"'")
}

/// A word that the shell on the other side takes as it is.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@,+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[async_trait::async_trait]
impl Access for Ssh {
    fn node(&self) -> &str {
        &self.node
    }

    async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Ran, AccessError> {
        let command = self.remote(program, arguments);
        self.heard(finish(&self.node, "ssh", command, Input::of(input), limit).await?)
    }

    async fn feed(&self, program: &str, arguments: &[&str], input: Feed, limit: Duration) -> Result<Ran, AccessError> {
        self.heard(finish(&self.node, "ssh", self.remote(program, arguments), Input::Feed(input), limit).await?)
    }

    /// By `ssh -W`: the connection begins in the node's sshd, so name look-up and route are the node's. Where sshd forbids
    /// that, by the node's bash.
    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, AccessError> {
        let mut command = if self.forbidden.load(Ordering::Relaxed) {
            // Not as another user: a connection needs no rights.
            self.relay(host, port)
        } else {
            let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            // Why a connection can't be made is no error to it.
            let mut command = self.command_that_says("LogLevel=INFO");
            command.args(["-W", &address, "--", &self.destination]);
            command
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let failed = |source| AccessError::Run { node: self.node.clone(), program: "ssh".to_owned(), source };
        let child = command.spawn().map_err(failed)?;
        Ok(Box::new(Piped::new(child, self.forbidden.clone()).map_err(failed)?))
    }

    async fn socket(&self, path: &str) -> Result<Socket, AccessError> {
        let directory = tempfile::Builder::new().prefix("sm-").tempdir();
        let directory =
            directory.map_err(|error| self.unreachable(&format!("make a directory for its socket: {error}")))?;
        let local = directory.path().join("s");
        let mut command = self.command();
        command.args(["-N", "-o", "ExitOnForwardFailure=yes", "-L", &format!("{}:{path}", local.display())]);
        command.args(["--", &self.destination]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let failed = |source| AccessError::Run { node: self.node.clone(), program: "ssh".to_owned(), source };
        let mut child = command.spawn().map_err(failed)?;
        self.appears(&local, &mut child).await?;
        Ok(Socket::new(local, Some(Box::new((child, directory)))))
    }
}

impl Ssh {
    /// Waits until `ssh` listens, or has ended.
    async fn appears(&self, socket: &Path, child: &mut Child) -> Result<(), AccessError> {
        let there = async {
            while !socket.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ended = tokio::time::timeout(FORWARD, there) => ended.map_err(|_| AccessError::TooSlow {
                node: self.node.clone(),
                what: "forwarding a socket".to_owned(),
                limit: FORWARD,
            }),
            _ = child.wait() => {
                let mut words = String::new();
                if let Some(mut errors) = child.stderr.take() {
                    // Without its words there is still the fact.
                    drop(tokio::io::AsyncReadExt::read_to_string(&mut errors, &mut words).await);
                }
                Err(self.unreachable(&words))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_other_side_as_they_are() {
        assert_eq!(quoted("/etc/x-1.y"), "/etc/x-1.y");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b$c"), "'a b$c'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn what_is_wrong_with_a_host_key_is_told() {
        let changed = "@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@@@@@@@\r\n\
            Offending ED25519 key in /root/.ssh/known_hosts:3\r\nHost key verification failed.\r\n";
        assert!(
            host_key(changed)
                .unwrap()
                .starts_with("its host key is not the one that is known (/root/.ssh/known_hosts:3)")
        );
        let unknown = "No ED25519 host key is known for n1 and you have requested strict checking.\r\nHost key verification failed.\r\n";
        assert_eq!(host_key(unknown).unwrap(), "No ED25519 host key is known for n1: connect once by hand");
        assert_eq!(host_key("ssh: connect to host n1 port 22: Connection refused\r\n"), None);
    }

    #[test]
    fn a_command_survives_shells_that_know_no_line_breaks() {
        assert_eq!(any_shell("echo 'a b'"), "echo 'a b'");
        let command = any_shell("printf '%s|' 'one\ntwo' '!x' 'it'\\''s \\0101 %b ü'");
        assert!(!command.contains(['\n', '!']), "{command}");
        let ran = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "one\ntwo|!x|it's \\0101 %b ü|");
    }
}
