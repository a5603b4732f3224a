//! What is asked of every node, whatever its containerd's configuration says.

use doctor::{Item, ItemKind, Origin};

use super::script::{Answer, NOT_HERE};
use crate::certificate;

/// A question to a node.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The command or path, as it becomes the origin.
    source: Source,
    kind: ItemKind,
    /// What the shell runs.
    pub(super) command: String,
    /// What becomes of the answer.
    reading: Reading,
}

#[derive(Clone, Debug)]
enum Source {
    Command(String),
    File(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// It is evidence, however the command ended.
    Always,
    /// It is evidence if the command succeeded.
    Success,
    /// It is a PEM text whose certificates are told.
    Certificates,
}

impl Question {
    /// A command whose output is evidence, its complaints too.
    pub(super) fn command(command: impl Into<String>) -> Self {
        let command = command.into();
        let program = command.split_whitespace().next().unwrap_or_default();
        let shell = format!("command -v {program} >/dev/null 2>&1 || exit {NOT_HERE}; {command}");
        Self { source: Source::Command(command), kind: ItemKind::NodeFacts, command: shell, reading: Reading::Always }
    }

    /// A script whose output is that of a command.
    pub(super) fn named(command: &str, kind: ItemKind, script: &str) -> Self {
        let source = Source::Command(command.to_owned());
        Self { source, kind, command: script.to_owned(), reading: Reading::Always }
    }

    /// A file, if it is there.
    pub(super) fn file(kind: ItemKind, path: impl Into<String>) -> Self {
        let path = path.into();
        let shell = format!("[ -e {0} ] || exit {NOT_HERE}; cat {0}", quoted(&path));
        Self { source: Source::File(path), kind, command: shell, reading: Reading::Success }
    }

    /// The certificates of a file, and nothing else of it.
    fn certificates(path: &str) -> Self {
        let file = quoted(path);
        let shell = format!(
            "[ -e {file} ] || exit {NOT_HERE}; sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' {file}; \
             sed -n 's/^ *client-certificate-data: *//p' {file} | base64 -d 2>/dev/null"
        );
        let source = Source::Command(format!("openssl x509 -noout -subject -issuer -dates -in {path}"));
        Self { source, kind: ItemKind::NodeFacts, command: shell, reading: Reading::Certificates }
    }

    pub(super) fn of_kind(mut self, kind: ItemKind) -> Self {
        self.kind = kind;
        self
    }

    pub(super) fn if_it_succeeds(mut self) -> Self {
        self.reading = Reading::Success;
        self
    }

    /// Only on machines that run systemd.
    fn with_systemd(mut self) -> Self {
        self.command = format!("[ -d /run/systemd/system ] || exit {NOT_HERE}; {}", self.command);
        self
    }

    /// The answer as evidence.
    pub(super) fn item(&self, node: &str, answer: Answer) -> Option<Item> {
        let origin = match &self.source {
            Source::Command(command) => Origin::command(node, command),
            Source::File(path) => Origin::file(node, path),
        };
        let item = |kind, text| Some(doctor::redact::item(Item { kind, origin: origin.clone(), text }));
        match answer {
            Answer::NotHere => None,
            Answer::Silent(why) => item(ItemKind::Unavailable, why),
            Answer::Said(text, succeeded) if !succeeded && is_forbidden(&text) => {
                item(ItemKind::Unavailable, format!("{}; use --sudo, or log in as root", text.trim()))
            }
            Answer::Said(text, _) if self.reading == Reading::Certificates => {
                let told = certificate::facts(text.as_bytes());
                if told.is_empty() { None } else { item(self.kind, told) }
            }
            Answer::Said(_, false) if self.reading == Reading::Success => None,
            Answer::Said(text, _) => item(self.kind, text),
        }
    }
}

fn is_forbidden(text: &str) -> bool {
    text.lines().count() <= 2 && (text.contains("ermission denied") || text.contains("must be root"))
}

pub(super) fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// Programs, settings, files and certificates of the machine.
pub(super) fn machine() -> Vec<Question> {
    let commands = [
        "date -u",
        "uname -r",
        "nproc",
        "free -m",
        "stat -fc %T /sys/fs/cgroup",
        "swapon --show",
        "sysctl net.ipv4.ip_forward",
        "sysctl fs.inotify",
        "containerd --version",
        "runc --version",
        "crictl --version",
        "kubelet --version",
        "kubeadm version -o short",
        "cri-dockerd --version",
        "df -h /",
        "df -h /var/lib/kubelet",
        "df -i /var/lib/kubelet",
        "grep overlay /proc/filesystems",
    ];
    let systemd = [
        "timedatectl",
        "systemctl is-active containerd",
        "systemctl is-active kubelet",
        "systemctl show containerd -p ActiveEnterTimestamp",
        "systemctl show containerd -p Environment",
        "systemctl cat containerd",
        "systemctl cat kubelet",
    ];
    let files = [
        "/etc/os-release",
        "/etc/crictl.yaml",
        "/etc/resolv.conf",
        "/etc/hosts",
        "/etc/docker/daemon.json",
        "/etc/default/kubelet",
        "/etc/sysconfig/kubelet",
        "/var/lib/kubelet/config.yaml",
        "/var/lib/kubelet/kubeadm-flags.env",
        "/proc/swaps",
    ];
    let certificates = [
        "/etc/kubernetes/pki/ca.crt",
        "/etc/kubernetes/pki/apiserver.crt",
        "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
        "/etc/kubernetes/pki/apiserver-etcd-client.crt",
        "/etc/kubernetes/pki/front-proxy-ca.crt",
        "/etc/kubernetes/pki/front-proxy-client.crt",
        "/etc/kubernetes/pki/etcd/ca.crt",
        "/etc/kubernetes/pki/etcd/server.crt",
        "/etc/kubernetes/admin.conf",
        "/etc/kubernetes/controller-manager.conf",
        "/etc/kubernetes/scheduler.conf",
        "/var/lib/kubelet/pki/kubelet-client-current.pem",
        "/var/lib/kubelet/pki/kubelet.crt",
    ];
    let mut questions: Vec<Question> =
        commands.into_iter().map(|command| Question::command(command).if_it_succeeds()).collect();
    questions.extend(systemd.into_iter().map(|command| Question::command(command).with_systemd()));
    questions.extend(files.into_iter().map(|path| Question::file(ItemKind::NodeFacts, path)));
    questions.extend(certificates.into_iter().map(Question::certificates));
    // A kernel without modules has all it has built in.
    let mut modules = Question::command("lsmod | grep -E \"^(overlay|br_netfilter|nf_conntrack|xfs) \"");
    modules.command = format!("[ -e /proc/modules ] || exit {NOT_HERE}; {}", modules.command);
    questions.push(modules.if_it_succeeds());
    let mut bridge = Question::command("sysctl net.bridge");
    bridge.command = format!("[ -e /proc/sys/net/bridge ] || exit {NOT_HERE}; {}", bridge.command);
    questions.push(bridge.if_it_succeeds());
    questions
}

/// The last lines of a unit's log of this boot; of one that runs, the last hour's.
pub(super) fn journal(unit: &str, kind: ItemKind, file: Option<&str>) -> Question {
    if let Some(file) = file {
        let mut question = Question::file(kind, file);
        question.command = format!("[ -e {0} ] || exit {NOT_HERE}; tail -n 2000 {0}", quoted(file));
        return question;
    }
    let read = format!("journalctl -u {unit} -b -n 2000 --no-pager -q");
    let shell = format!(
        "command -v journalctl >/dev/null 2>&1 || exit {NOT_HERE}; since=; \
         systemctl is-active --quiet {unit} && since='--since=-1h'; {read} $since"
    );
    let source = Source::File(format!("journalctl -u {unit} -b"));
    Question { source, kind, command: shell, reading: Reading::Always }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(question: &Question, answer: Answer) -> Option<(ItemKind, String, String)> {
        question.item("n1", answer).map(|item| (item.kind, item.origin.0, item.text))
    }

    #[test]
    fn origins_are_as_people_write_them() {
        let said = |text: &str| Answer::Said(text.to_owned(), true);
        let (kind, origin, text) = item(&Question::command("df -h /"), said("x\n")).unwrap();
        assert_eq!((kind, origin.as_str(), text.as_str()), (ItemKind::NodeFacts, "n1: df -h /", "x\n"));
        let file = Question::file(ItemKind::ContainerdConfig, "/etc/containerd/config.toml");
        assert_eq!(item(&file, said("auth = \"dTpw\"\n")).unwrap().2, "auth = \"REDACTED\"\n");
        assert_eq!(item(&file, said("")).unwrap().1, "n1 /etc/containerd/config.toml");
        let journal = journal("kubelet", ItemKind::KubeletLog, None);
        assert_eq!(item(&journal, said("")).unwrap().1, "n1 journalctl -u kubelet -b");
    }

    #[test]
    fn what_may_not_be_read_is_told() {
        let file = Question::file(ItemKind::NodeFacts, "/var/lib/kubelet/config.yaml");
        let denied = Answer::Said("cat: /var/lib/kubelet/config.yaml: Permission denied\n".to_owned(), false);
        let (kind, _, text) = item(&file, denied).unwrap();
        assert!(kind == ItemKind::Unavailable && text.contains("--sudo"), "{text}");
        assert_eq!(item(&file, Answer::NotHere), None);
        assert_eq!(item(&Question::command("x").if_it_succeeds(), Answer::Said("no".to_owned(), false)), None);
    }
}
