//! Prompts with commands, headings with file names, and what kind of evidence their outputs are.

use std::sync::LazyLock;

use regex::Regex;

use super::form;
use crate::evidence::{ItemKind, Origin};

/// A command that somebody typed, or a file whose content follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    host: Option<String>,
    /// The command line, or the file's path.
    source: String,
    pub(super) is_file: bool,
}

/// `root@node-1:~# …`, `[root@node-1 ~]# …`, `node-1$ …`, `$ …`, `# …`.
static PROMPT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:\([\w.-]+\)\s*)?(?:\[?(?:[\w.-]+@)?(?<host>[\w.-]+)(?:[ :][\w~/.:-]*)?\]?)?\s?(?<sign>[$#%>])\s+(?<command>\S.*)$").ok()
});

/// `==> /etc/containerd/config.toml <==`, `/etc/containerd/config.toml:`, `node-1:/etc/x.toml:`, `# /etc/x.toml`.
static HEADING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?:==> |--- |### |## |# |// )?(?:(?<host>[\w.-]+)[: ]\s*)?(?<path>(?:~|/)?[\w.@:-]*(?:/[\w.@:-]+)+)(?: <==| ---|:)?$",
    )
    .ok()
});

/// Programs whose name behind a `#` shows that it is a prompt and no comment.
const PROGRAMS: [&str; 60] = [
    "apt",
    "awk",
    "cat",
    "chronyc",
    "conntrack",
    "containerd",
    "crictl",
    "ctr",
    "curl",
    "date",
    "df",
    "dig",
    "dmesg",
    "dnf",
    "docker",
    "du",
    "egrep",
    "ethtool",
    "fgrep",
    "file",
    "findmnt",
    "free",
    "getent",
    "getenforce",
    "grep",
    "head",
    "helm",
    "hexdump",
    "hostname",
    "hostnamectl",
    "id",
    "ip",
    "iptables",
    "journalctl",
    "kubeadm",
    "kubectl",
    "kubelet",
    "less",
    "ls",
    "lsblk",
    "lsmod",
    "modprobe",
    "mount",
    "namei",
    "nerdctl",
    "nft",
    "nslookup",
    "openssl",
    "ps",
    "psql",
    "runc",
    "ss",
    "stat",
    "sudo",
    "swapon",
    "sysctl",
    "systemctl",
    "tail",
    "timedatectl",
    "xfs_info",
];

/// Reads a prompt with a command.
pub(super) fn prompt(line: &str) -> Option<Prompt> {
    let found = PROMPT.as_ref()?.captures(line)?;
    let command = found.name("command")?.as_str().trim();
    let host = found.name("host").map(|host| host.as_str().to_owned());
    let program = command.split_whitespace().find(|word| *word != "sudo" && !word.contains('=')).unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    let known = PROGRAMS.binary_search(&program).is_ok() || ["k", "uname", "xxd", "zcat", "which"].contains(&program);
    let sign = found.name("sign")?.as_str();
    // Without a known program, only a user's prompt with a host is believed, or a bare dollar.
    let believed =
        known || (sign == "$" && line.starts_with('$')) || (host.is_some() && line.contains('@') && sign != ">");
    believed.then(|| Prompt { host, source: command.to_owned(), is_file: false })
}

/// Reads a heading that names a file.
pub(super) fn heading(line: &str) -> Option<Prompt> {
    if line.len() > 300 || !line.contains('/') {
        return None;
    }
    let found = HEADING.as_ref()?.captures(line)?;
    let path = found.name("path")?.as_str();
    let marked = line.starts_with("==>") || line.ends_with(':') || line.starts_with('#') || line.starts_with("---");
    let file = path.rsplit('/').next().unwrap_or_default();
    let is_config = file.ends_with(".toml") || file.ends_with(".yaml") || file.ends_with(".conf") || file == "config";
    let rooted = path.starts_with('/') || path.starts_with("~/");
    (rooted && is_config && (marked || line == path)).then(|| Prompt {
        host: found.name("host").map(|host| host.as_str().to_owned()),
        source: path.trim_end_matches(':').to_owned(),
        is_file: true,
    })
}

impl Prompt {
    /// The file that the output is the content of.
    fn file(&self) -> Option<&str> {
        if self.is_file {
            return Some(&self.source);
        }
        let mut words = self.source.split_whitespace().filter(|word| *word != "sudo");
        let program = words.next()?;
        if !["cat", "less", "more", "zcat"].contains(&program) || self.source.contains(['|', '>', '*']) {
            return None;
        }
        let mut files = words.filter(|word| !word.starts_with('-'));
        let file = files.next()?;
        files.next().is_none().then_some(file)
    }

    /// Where the output comes from.
    pub(super) fn origin(&self) -> Origin {
        match (&self.host, self.file()) {
            (Some(host), Some(file)) => Origin::file(host, file),
            (None, Some(file)) => Origin(file.to_owned()),
            (Some(host), None) if self.source.starts_with("journalctl") => Origin::file(host, &self.source),
            (Some(host), None) if !is_client(&self.source) => Origin::command(host, &self.source),
            _ => Origin(self.source.clone()),
        }
    }

    /// What the output is.
    pub(super) fn kind(&self, output: &str) -> ItemKind {
        if let Some(file) = self.file() {
            return of_file(file, output);
        }
        let words: Vec<&str> = self.source.split_whitespace().filter(|word| *word != "sudo").collect();
        let program = words.iter().find(|word| !word.contains('=')).copied().unwrap_or_default();
        let has = |word: &str| words.iter().any(|found| found.contains(word));
        match program.rsplit('/').next().unwrap_or_default() {
            "kubectl" | "k" if has("config") && has("view") => ItemKind::Kubeconfig,
            "kubectl" | "k" if has("describe") && (has("po") || output.contains("\nEvents:")) => ItemKind::PodEvents,
            "kubectl" | "k" if has("events") || has("event") => ItemKind::PodEvents,
            "kubectl" | "k" if output.trim_start().starts_with('{') => {
                form::whole(output).map_or(ItemKind::KubectlOutput, |form| form.kind)
            }
            "kubectl" | "k" | "helm" => ItemKind::KubectlOutput,
            // Several commands in one line say facts of several kinds.
            _ if self.source.contains("; ") || self.source.contains(" && ") => ItemKind::NodeFacts,
            "kubeadm" => ItemKind::KubeadmOutput,
            "crictl" => ItemKind::CrictlOutput,
            "ctr" | "nerdctl" => ItemKind::CtrOutput,
            "journalctl" if has("kubelet") => ItemKind::KubeletLog,
            "journalctl" if has("containerd") => ItemKind::ContainerdLog,
            "journalctl" => {
                let mut forms = output.lines().take(50).filter_map(|line| form::of_line(line, None));
                forms.find(|form| form.kind != ItemKind::Text).map_or(ItemKind::NodeFacts, |form| form.kind)
            }
            "containerd" if has("config") && has("dump") => ItemKind::ContainerdConfig,
            "psql" | "pgbouncer" => ItemKind::PgActivity,
            "conntrack" => ItemKind::Conntrack,
            _ => ItemKind::NodeFacts,
        }
    }
}

/// Programs that speak of the cluster and not of the machine on which they run.
fn is_client(command: &str) -> bool {
    let program = command.split_whitespace().find(|word| *word != "sudo").unwrap_or_default();
    ["kubectl", "k", "helm", "psql"].contains(&program)
}

/// What a file is, by its name and its content.
fn of_file(file: &str, content: &str) -> ItemKind {
    let name = file.rsplit('/').next().unwrap_or_default();
    if name == "hosts.toml" {
        return ItemKind::HostsToml;
    }
    if name.ends_with(".toml") && (file.contains("containerd") || name == "config.toml") {
        return ItemKind::ContainerdConfig;
    }
    let kubeconfig = file.ends_with(".kube/config") || (file.contains("/etc/kubernetes/") && name.ends_with(".conf"));
    if kubeconfig {
        return ItemKind::Kubeconfig;
    }
    if name.ends_with(".yaml") || name.ends_with(".yml") {
        // The kubelet's and kubeadm's own files have no names of objects.
        let settings = ["kubelet.config.k8s.io", "kubeadm.k8s.io", "kubeproxy.config.k8s.io"];
        let is_object = content.contains("apiVersion:") && content.contains("kind:");
        return if !is_object || settings.iter().any(|group| content.contains(group)) {
            ItemKind::NodeFacts
        } else {
            form::settled(ItemKind::Manifest, content)
        };
    }
    ItemKind::NodeFacts
}
