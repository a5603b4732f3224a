//! What a line or a whole text shows of who wrote it.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::evidence::ItemKind;

/// Who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) kind: ItemKind,
    /// The host, where lines name it.
    host: Option<String>,
}

impl Form {
    fn of(kind: ItemKind) -> Self {
        Self { kind, host: None }
    }

    /// What nothing recognises.
    pub(super) fn text() -> Self {
        Self::of(ItemKind::Text)
    }
}

static JOURNAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:[A-Z][a-z]{2} +\d+ [\d:.]+|\d{4}-\d\d-\d\dT\S+) (?<host>\S+) (?<program>[\w@.-]+)(?:\[\d+\])?: ")
        .ok()
});
static KLOG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[IWEF]\d{4} \d\d:\d\d:\d\d").ok());
static KUBEADM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:\[(?:init|preflight|certs|kubeconfig|kubelet-start|kubelet-check|control-plane|etcd|wait-control-plane|apiclient|addons|upgrade[\w/-]*|reset|discovery|join|api-check|mark-control-plane|bootstrap-token)\] |\[upgrade|error execution phase |\s+\[(?:ERROR|WARNING) \w+\])").ok()
});
static CONNTRACK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(?:ipv4\s+2\s+)?(?:tcp|udp)\s+(?:6|17)\s+\d+ .*src=").ok());
static EVENTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(?:Events:|\s*Type\s+Reason\s+Age\s|(?:NAMESPACE\s+)?LAST SEEN\s+TYPE\s)").ok());
static EVENT_ROW: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\s*(?:Warning|Normal)\s+[A-Z]\w+\s+(?:<unknown>|[\d.]+[smhdy])").ok());

/// A whole text that is one thing.
pub(super) fn whole(text: &str) -> Option<Form> {
    let trimmed = text.trim_start();
    if !trimmed.starts_with('{') {
        return None;
    }
    let value: Value = serde_json::from_str(trimmed).ok()?;
    let kind = match value["kind"].as_str()? {
        "Pod" => ItemKind::PodStatus,
        "Config" if value["clusters"].is_array() => ItemKind::Kubeconfig,
        "PodList" => ItemKind::Pods,
        "List" if value["items"].as_array().is_some_and(|items| items.iter().all(|item| item["kind"] == "Pod")) => {
            ItemKind::Pods
        }
        _ => ItemKind::Objects,
    };
    Some(Form::of(kind))
}

/// What a line shows. `None` when it says nothing, or goes on with what was before it.
pub(super) fn of_line(line: &str, before: Option<&Form>) -> Option<Form> {
    let before = before.map(|form| form.kind);
    let matches = |pattern: &LazyLock<Option<Regex>>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(line));
    if let Some(found) = JOURNAL.as_ref().and_then(|pattern| pattern.captures(line)) {
        let host = found.name("host").map(|host| host.as_str().to_owned());
        let kind = match found.name("program").map(|program| program.as_str()) {
            Some("kubelet") => ItemKind::KubeletLog,
            Some("containerd" | "dockerd") => ItemKind::ContainerdLog,
            // systemd speaks of the unit in the midst of its lines.
            _ if line.contains("containerd") => ItemKind::ContainerdLog,
            _ if line.contains("kubelet") => ItemKind::KubeletLog,
            _ if matches!(before, Some(ItemKind::KubeletLog | ItemKind::ContainerdLog)) => return None,
            _ => ItemKind::Text,
        };
        return Some(Form { kind, host });
    }
    if matches(&KUBEADM) {
        return Some(Form::of(ItemKind::KubeadmOutput));
    }
    if matches(&KLOG) {
        let client = ["memcache.go", "portforward.go", "round_trippers.go"].iter().any(|file| line.contains(file));
        return match (client, before) {
            // kubeadm and kubectl print such lines among their own.
            (_, Some(ItemKind::KubeadmOutput | ItemKind::KubectlOutput)) => None,
            (true, _) => Some(Form::of(ItemKind::KubectlOutput)),
            (false, _) => Some(Form::of(ItemKind::KubeletLog)),
        };
    }
    if line.starts_with("time=\"") && line.contains(" level=") {
        return match before {
            Some(ItemKind::KubeadmOutput | ItemKind::CrictlOutput | ItemKind::CtrOutput) => None,
            _ => Some(Form::of(ItemKind::ContainerdLog)),
        };
    }
    if matches(&EVENTS) || (matches(&EVENT_ROW) && before != Some(ItemKind::KubectlOutput)) {
        return Some(Form::of(ItemKind::PodEvents));
    }
    if matches(&CONNTRACK) {
        return Some(Form::of(ItemKind::Conntrack));
    }
    by_beginning(line, before).or_else(|| {
        let toml = matches!(before, Some(ItemKind::ContainerdConfig | ItemKind::HostsToml));
        (toml && !may_be_toml(line)).then(Form::text)
    })
}

/// Whether a line may stand in TOML, be it broken: what follows a file is usually quite another thing.
fn may_be_toml(line: &str) -> bool {
    let words = line.trim_start();
    words.is_empty()
        || words.len() < line.len()
        || words.starts_with('#')
        || words.contains(['=', '"', '\'', '[', ']', '{', '}'])
}

/// Whether a line can only be the beginning of another file than the one before it.
pub(super) fn begins_anew(line: &str, before: &str) -> bool {
    let version = |line: &str| line.starts_with("version = ");
    (version(line) && before.lines().any(version)) || (line.starts_with("Name:  ") && before.contains("\nEvents:"))
}

/// Lines that begin as only one program's do.
fn by_beginning(line: &str, before: Option<ItemKind>) -> Option<Form> {
    const BEGINNINGS: [(&str, ItemKind); 27] = [
        ("Name:  ", ItemKind::PodEvents),
        ("apiVersion:", ItemKind::Manifest),
        ("kind:", ItemKind::Manifest),
        ("current-context:", ItemKind::Kubeconfig),
        ("disabled_plugins", ItemKind::ContainerdConfig),
        ("version = ", ItemKind::ContainerdConfig),
        ("[plugins", ItemKind::ContainerdConfig),
        ("[proxy_plugins", ItemKind::ContainerdConfig),
        ("imports = [", ItemKind::ContainerdConfig),
        ("server = \"", ItemKind::HostsToml),
        ("[host.", ItemKind::HostsToml),
        ("ctr: ", ItemKind::CtrOutput),
        ("FATA[", ItemKind::CrictlOutput),
        ("ERRO[", ItemKind::CrictlOutput),
        ("DEBU[", ItemKind::CrictlOutput),
        ("Error from server", ItemKind::KubectlOutput),
        ("Unable to connect to the server", ItemKind::KubectlOutput),
        ("The connection to the server", ItemKind::KubectlOutput),
        ("error: ", ItemKind::KubectlOutput),
        ("error validating", ItemKind::KubectlOutput),
        ("unable to recognize", ItemKind::KubectlOutput),
        ("Error: INSTALLATION FAILED", ItemKind::KubectlOutput),
        ("Error: UPGRADE FAILED", ItemKind::KubectlOutput),
        ("psql: ", ItemKind::PgActivity),
        ("FATAL:  ", ItemKind::PgActivity),
        ("ERROR:  ", ItemKind::PgActivity),
        (" pid ", ItemKind::PgActivity),
    ];
    let (_, kind) = BEGINNINGS.iter().find(|(beginning, _)| line.starts_with(beginning))?;
    let goes_on = match (before, kind) {
        // Inside of a file, its own lines go on; `version = 2` may be a key of anything.
        (Some(ItemKind::ContainerdConfig), ItemKind::HostsToml) => line.starts_with("server"),
        (Some(ItemKind::HostsToml), ItemKind::ContainerdConfig) => false,
        (Some(ItemKind::Manifest | ItemKind::Kubeconfig), ItemKind::Manifest | ItemKind::Kubeconfig) => true,
        // kubeadm's and crictl's own errors.
        (Some(ItemKind::KubeadmOutput), ItemKind::KubectlOutput) => true,
        _ => false,
    };
    (!goes_on).then(|| Form::of(*kind))
}

/// What the whole of it shows beyond its first line.
pub(super) fn settled(kind: ItemKind, text: &str) -> ItemKind {
    let kubeconfig = text.lines().any(|line| line.trim_end() == "kind: Config")
        || (text.contains("\ncontexts:") && text.contains("\nusers:"));
    match kind {
        ItemKind::Manifest if kubeconfig => ItemKind::Kubeconfig,
        ItemKind::CrictlOutput if !text.contains("runtime") && !text.contains("endpoint") => ItemKind::CtrOutput,
        kind => kind,
    }
}

/// The origin of what came without one: as the program is usually called, or the file usually lies.
pub(super) fn origin(kind: ItemKind, form: &Form, text: &str) -> String {
    let on_host = |command: &str| form.host.as_ref().map_or(command.to_owned(), |host| format!("{host} {command}"));
    match kind {
        ItemKind::KubeletLog => on_host("journalctl -u kubelet"),
        ItemKind::ContainerdLog => on_host("journalctl -u containerd"),
        ItemKind::KubeadmOutput => "kubeadm".to_owned(),
        ItemKind::CrictlOutput => "crictl".to_owned(),
        ItemKind::CtrOutput if text.contains("FATA[") => "nerdctl".to_owned(),
        ItemKind::CtrOutput => "ctr".to_owned(),
        ItemKind::KubectlOutput if text.contains("FAILED: ") => "helm".to_owned(),
        ItemKind::KubectlOutput => "kubectl".to_owned(),
        ItemKind::PodEvents => described(text),
        ItemKind::PodStatus => "kubectl get pod -o json".to_owned(),
        ItemKind::Pods => "kubectl get pods -o json".to_owned(),
        ItemKind::Objects => "kubectl get -o json".to_owned(),
        ItemKind::ContainerdConfig => "/etc/containerd/config.toml".to_owned(),
        ItemKind::HostsToml => hosts_toml(text),
        ItemKind::Kubeconfig => "~/.kube/config".to_owned(),
        ItemKind::Manifest => "paste.yaml".to_owned(),
        ItemKind::PgActivity => "psql".to_owned(),
        ItemKind::Conntrack => "conntrack -L".to_owned(),
        ItemKind::NodeFacts | ItemKind::Text | ItemKind::Unavailable => "paste".to_owned(),
    }
}

/// `kubectl describe pod NAME -n NAMESPACE`, as far as the text tells.
fn described(text: &str) -> String {
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line[name.len()..].split_whitespace().next()
    };
    match (field("Name:"), field("Namespace:")) {
        (Some(name), Some(namespace)) => format!("kubectl describe pod {name} -n {namespace}"),
        (Some(name), None) => format!("kubectl describe pod {name}"),
        _ => "kubectl describe pod (events)".to_owned(),
    }
}

/// Without its directory, a `hosts.toml` is taken to be for the server that it names.
fn hosts_toml(text: &str) -> String {
    let url = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    let host: String =
        url.chars().take_while(|character| character.is_alphanumeric() || ".:-".contains(*character)).collect();
    if host.is_empty() { "hosts.toml".to_owned() } else { format!("/etc/containerd/certs.d/{host}/hosts.toml") }
}
