//! What programs said: events, journals, tools. One form for all, so that a rule need not know who complained.

use std::collections::HashSet;

use super::events::{self, Ready};
use super::existing;
use super::log::{self, Level};
use super::nodes;
use super::objects::Found;
use super::pods::Pod;
use crate::evidence::{Item, ItemKind};
use crate::text::unquoted;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// An event of the API; its reason and source are in the message.
    Event,
    /// A container's or a pod's status.
    Status,
    /// The kubelet's journal.
    Kubelet,
    /// containerd's journal.
    Containerd,
    /// `kubectl`.
    Kubectl,
    /// Helm.
    Helm,
    /// `kubeadm`.
    Kubeadm,
    /// `crictl`.
    Crictl,
    /// `ctr`.
    Ctr,
    /// `nerdctl`.
    Nerdctl,
    /// PostgreSQL, its clients and poolers.
    Postgres,
    /// Anything else.
    Other,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number among all messages.
    pub number: usize,
    /// Number of its item.
    pub item: usize,
    /// Its line in the item, from 1.
    pub line: u32,
    /// Who said it.
    pub speaker: Speaker,
    /// How loud.
    pub level: Level,
    /// The words, with Go's and JSON's quoting undone.
    pub text: String,
    /// An event's reason; empty otherwise.
    pub reason: String,
    /// The node, as far as told; empty otherwise.
    pub node: String,
    /// Namespace and name of the pod; empty otherwise.
    pub pod: (String, String),
    /// An event's last occurrence: seconds before the table was printed.
    pub age: Option<u64>,
    /// How often an event happened; 1 for everything else.
    pub count: u64,
    /// Further fields of a log line.
    pub fields: Vec<(String, String)>,
    /// Whether it is over: something later shows that it went well.
    pub over: bool,
}

impl Message {
    /// Whether it tells of a failure that is not over.
    pub fn is_failure(&self) -> bool {
        !self.over && self.level >= Level::Warning
    }

    /// Whether containerd says that it can't use a `hosts.toml`. 2.x tells its path, 1.x only its name.
    pub fn decodes_hosts(&self) -> bool {
        self.text.split_once("failed to decode ").is_some_and(|(_, rest)| rest.contains("hosts.toml"))
    }

    /// The first text in double quotes after a phrase, such as the image after `failed to pull image`.
    pub fn quoted_after(&self, phrase: &str) -> Option<&str> {
        let (_, rest) = self.text.split_once(phrase)?;
        let (_, rest) = rest.split_once('"')?;
        rest.split('"').next()
    }
}

pub(crate) fn read(items: &[Item], objects: &[Found], pods: &[Pod]) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let ready: Ready<'_> = pods
        .iter()
        .filter(|pod| pod.ready == Some(true))
        .map(|pod| (pod.namespace.as_str(), pod.name.as_str()))
        .collect();
    for (number, item) in items.iter().enumerate() {
        let from = messages.len();
        match item.kind {
            ItemKind::Objects | ItemKind::Pods | ItemKind::PodStatus => {
                messages.extend(events::of_objects(number, objects))
            }
            ItemKind::ContainerdConfig | ItemKind::HostsToml | ItemKind::Manifest | ItemKind::Kubeconfig => {}
            ItemKind::Unavailable => {}
            _ => messages.extend(of_lines(number, item)),
        }
        if item.kind == ItemKind::PodEvents
            && let Some((namespace, name)) = asked_pod(item)
        {
            for message in messages[from..].iter_mut().filter(|message| message.pod.1.is_empty()) {
                message.pod = (namespace.clone(), name.to_owned());
            }
        }
        if item.kind == ItemKind::PodEvents
            && let Some(pod) = pods.iter().find(|pod| pod.item == number && !pod.name.is_empty())
        {
            for message in &mut messages[from..] {
                message.pod = (pod.namespace.clone(), pod.name.clone());
                message.node = pod.node.clone();
            }
        }
        events::assigned(&mut messages[from..]);
        if let Some(node) = nodes::asked(item.origin.source()) {
            for message in messages[from..].iter_mut().filter(|message| message.node.is_empty()) {
                node.clone_into(&mut message.node);
            }
        }
        if item.kind == ItemKind::ContainerdLog {
            restarted(&mut messages[from..]);
        }
        events::settle(&mut messages[from..], &ready);
    }
    messages.extend(pods.iter().flat_map(of_status));
    for (number, message) in messages.iter_mut().enumerate() {
        message.number = number;
    }
    messages
}

/// Namespace and name of the pod that `kubectl describe pod NAME -n NAMESPACE` asks for.
fn asked_pod(item: &Item) -> Option<(String, &str)> {
    let mut words = item.origin.source().split_whitespace().skip_while(|word| *word != "describe").skip(1);
    let what = words.next().filter(|what| matches!(*what, "pod" | "pods" | "po"));
    let name = words.next().filter(|name| name.starts_with(|first: char| first.is_ascii_alphanumeric()))?;
    what?;
    Some((existing::namespace_of(&item.origin).unwrap_or_default(), name))
}

pub(super) fn blank(item: usize, line: u32, speaker: Speaker, level: Level, text: &str) -> Message {
    Message {
        number: 0,
        item,
        line,
        speaker,
        level,
        text: text.to_owned(),
        reason: String::new(),
        node: String::new(),
        pod: (String::new(), String::new()),
        age: None,
        count: 1,
        fields: Vec::new(),
        over: false,
    }
}

/// Events in tables, lines of logs, and whatever else tools print.
fn of_lines(number: usize, item: &Item) -> Vec<Message> {
    let asked = existing::namespace_of(&item.origin);
    let mut messages = events::rows(number, asked.as_deref(), &item.text);
    if messages.is_empty() && item.kind == ItemKind::PodEvents {
        messages = events::headless(number, &item.text);
    }
    let rows: HashSet<u32> = messages.iter().map(|message| message.line).collect();
    let before_events = item.kind == ItemKind::PodEvents;
    let speaker = speaker_of(item);
    for (index, raw) in item.text.lines().enumerate() {
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if raw.trim().is_empty() || rows.contains(&line) || before_events {
            continue;
        }
        let (host, program, rest) =
            log::journal(raw).map_or((None, "", raw), |(host, program, rest)| (Some(host), program, rest));
        let speaker = match program {
            "kubelet" => Speaker::Kubelet,
            "containerd" => Speaker::Containerd,
            _ => first_word(item.kind, rest).unwrap_or(speaker),
        };
        let mut message = match log::line(rest) {
            Some(read) => {
                let mut message = blank(number, line, speaker, read.level, &read.text);
                message.fields = read.fields;
                message
            }
            None => events::bare_condition(number, line, rest)
                .unwrap_or_else(|| blank(number, line, speaker, loudness(item.kind, rest), &unquoted(rest.trim()))),
        };
        // Errors that were quoted within errors.
        while message.text.contains("\\\"") {
            message.text = message.text.replace("\\\"", "\"");
        }
        message.node = item.origin.node().or(host).unwrap_or_default().to_owned();
        if let Some((namespace, name)) = pod_field(&message.fields) {
            message.pod = (namespace, name);
        }
        messages.push(message);
    }
    messages
}

fn pod_field(fields: &[(String, String)]) -> Option<(String, String)> {
    let (_, value) = fields.iter().find(|(key, _)| key == "pod")?;
    let (namespace, name) = value.split_once('/')?;
    Some((namespace.to_owned(), name.to_owned()))
}

fn speaker_of(item: &Item) -> Speaker {
    let source = item.origin.source();
    match item.kind {
        ItemKind::KubeletLog => Speaker::Kubelet,
        ItemKind::ContainerdLog => Speaker::Containerd,
        ItemKind::KubeadmOutput => Speaker::Kubeadm,
        ItemKind::CrictlOutput => Speaker::Crictl,
        ItemKind::CtrOutput if source.contains("nerdctl") => Speaker::Nerdctl,
        ItemKind::CtrOutput => Speaker::Ctr,
        ItemKind::KubectlOutput if source.starts_with("helm") => Speaker::Helm,
        ItemKind::KubectlOutput => Speaker::Kubectl,
        ItemKind::PgActivity => Speaker::Postgres,
        _ => Speaker::Other,
    }
}

/// Tools that begin their complaints with their name or in their own way.
fn first_word(kind: ItemKind, line: &str) -> Option<Speaker> {
    const CRICTL: [&str; 5] =
        ["runtime service", "service connection", "runtime connect", "connect endpoint", "status of runtime"];
    if line.starts_with("ctr: ") {
        return Some(Speaker::Ctr);
    }
    if line.starts_with("FATA[") || line.starts_with("ERRO[") {
        let crictl = kind == ItemKind::CrictlOutput || CRICTL.iter().any(|words| line.contains(words));
        return Some(if crictl { Speaker::Crictl } else { Speaker::Nerdctl });
    }
    None
}

/// Facts are quiet unless they are an error's words; what a tool prints is loud where it says so.
fn loudness(kind: ItemKind, line: &str) -> Level {
    const LOUD: [&str; 17] = [
        "error",
        "required value",
        "fail",
        "fatal",
        "denied",
        "refused",
        "unable",
        "cannot",
        "can't",
        "couldn't",
        "not found",
        "no such file",
        "not ready",
        "invalid",
        "forbidden",
        "timeout",
        "unknown ",
    ];
    let lower = line.to_lowercase();
    let line = lower.trim_start();
    if line.starts_with("warn") || line.starts_with("w0") || line.starts_with("[warn") {
        return Level::Warning;
    }
    if line.starts_with("debu[") || line.starts_with("info[") {
        return Level::Quiet;
    }
    if LOUD.iter().any(|word| line.contains(word)) || line.starts_with("sorry") || line.starts_with("fata[") {
        return Level::Error;
    }
    match kind {
        ItemKind::Text => Level::Warning,
        _ => Level::Quiet,
    }
}

/// What failed at an earlier start of containerd no longer counts.
fn restarted(messages: &mut [Message]) {
    let last = messages.iter().rposition(|message| message.text.starts_with("starting containerd")).unwrap_or(0);
    for message in &mut messages[..last] {
        let of_a_start = ["failed to load", "could not use snapshotter"];
        message.over = of_a_start.iter().any(|words| message.text.contains(words));
    }
}

/// What a pod's status says of its containers.
fn of_status(pod: &Pod) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut say = |reason: &str, words: &str| {
        let mut message = blank(pod.item, 1, Speaker::Status, Level::Warning, words);
        reason.clone_into(&mut message.reason);
        message.node.clone_from(&pod.node);
        message.pod = (pod.namespace.clone(), pod.name.clone());
        messages.push(message);
    };
    if !pod.unschedulable.is_empty() && pod.node.is_empty() {
        say("FailedScheduling", &pod.unschedulable);
    }
    for container in &pod.containers {
        let ended = container.ended.iter().map(|ended| (&ended.reason, &ended.message));
        for (reason, words) in ended.chain([(&container.waiting, &container.message)]) {
            if words.is_empty() || container.ready {
                continue;
            }
            say(reason, words);
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Evidence, Origin};

    fn messages(kind: ItemKind, origin: &str, text: &str) -> Vec<Message> {
        let item = Item { kind, origin: Origin(origin.to_owned()), text: text.to_owned() };
        Evidence::new(vec![item]).read().messages.clone()
    }

    #[test]
    fn events_of_a_table_and_what_is_over() {
        let text = "Events:\n  Type     Reason            Age   From               Message\n  ----     ------            ----  ----               -------\n  Warning  FailedScheduling  90s   default-scheduler  0/1 nodes are available\n  Normal   Scheduled         40s   default-scheduler  Successfully assigned a/b to n\n  Warning  Failed            3s (x4 over 47s)  kubelet  Error: exec: \\\"x\\\" not found\n";
        let read = messages(ItemKind::PodEvents, "kubectl describe pod (events)", text);
        let seen: Vec<_> = read.iter().map(|one| (one.reason.as_str(), one.level, one.over, one.age)).collect();
        assert_eq!(
            seen,
            [
                ("FailedScheduling", Level::Warning, true, Some(90)),
                ("Scheduled", Level::Quiet, false, Some(40)),
                ("Failed", Level::Warning, false, Some(3)),
            ]
        );
        assert_eq!(read[2].text, r#"Error: exec: "x" not found"#);
    }

    #[test]
    fn lines_of_tools_and_journals_have_speakers() {
        let ctr = messages(ItemKind::Text, "paste", "ctr: failed to resolve reference \"a/b:1\": boom\n");
        assert_eq!((ctr[0].speaker, ctr[0].is_failure()), (Speaker::Ctr, true));
        assert_eq!(ctr[0].quoted_after("reference"), Some("a/b:1"));
        let log = "Jan 01 04:14:39 n1 containerd[9]: time=\"x\" level=error msg=\"PullImage failed\" error=\"e\"\n";
        let read = messages(ItemKind::ContainerdLog, "n1 journalctl -u containerd", log);
        assert_eq!((read[0].speaker, read[0].node.as_str(), read[0].level), (Speaker::Containerd, "n1", Level::Error));
    }
}
