//! crictl tries dockershim's socket, because no endpoint is set or its file still names it.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::facts::Setting;
use crate::read::log::Level;
use crate::read::{Fact, Message, Speaker, same_node};
use crate::rule::{Findings, Rule};
use crate::text::Position;

pub const RULE: Rule = Rule {
    code: "SM0212",
    key: "crictl-endpoint-not-set",
    title: "crictl asks at a socket that is gone",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for message in read.failing(&[]).filter(|message| is_victim(message)) {
        let node = message.node.as_str();
        if seen.contains(&node) {
            continue;
        }
        let socket = cri::socket(&message.text).unwrap_or("/var/run/dockershim.sock").to_owned();
        let by_default = message_says_default(evidence, message);
        let setting = read.facts.setting(node, "runtime-endpoint").find(|setting| setting.value.value.contains(&socket));
        let old = socket.contains("dockershim");
        let finding = if let Some(setting) = setting.filter(|_| old || other_socket(evidence, node, &socket)) {
            let (place, path) = place(evidence, setting, &socket);
            let finding = findings.proven(place.clone(), format!("`{path}` names {socket}, where nobody listens"));
            if let Place::Text { item, span } = place {
                let fix = Fix::review("name containerd's socket").edit(item, span, "containerd.sock");
                if socket.ends_with("/run/dockershim.sock") {
                    finding.fix(with_directory(evidence, fix, item));
                }
            }
            finding
        } else if old {
            let cause = "crictl has no endpoint set and tries dockershim's socket, which is gone";
            findings.likely(cri::machine(node, "/etc/crictl.yaml"), cause)
        } else if by_default && !stopped(evidence, node) {
            let cause = "crictl has no endpoint set, and none of its default sockets answers";
            findings.likely(cri::machine(node, "/etc/crictl.yaml"), cause)
        } else {
            continue;
        };
        seen.push(node);
        finding.weigh(1).message(message);
        let others = read.failing(&[]).filter(|other| other.item == message.item && same_node(&other.node, node));
        for other in others {
            finding.message(other);
        }
        let fix = Fix::manual("set crictl's endpoint")
            .step("crictl config --set runtime-endpoint=unix:///run/containerd/containerd.sock --set image-endpoint=unix:///run/containerd/containerd.sock");
        finding.fix(fix);
    }
}

/// crictl ends with an error about a socket.
fn is_victim(message: &Message) -> bool {
    const WORDS: [&str; 6] = [
        "connect endpoint",
        "failed to connect",
        "no such file or directory",
        "context deadline exceeded",
        "connection refused",
        "service connection",
    ];
    let text = &message.text;
    let ends = text.starts_with("FATA[") || text.contains("level=fatal") || text.starts_with("getting ");
    let ends = ends || (message.level == Level::Error && message.speaker == Speaker::Kubeadm);
    let crictl = message.speaker == Speaker::Crictl || text.contains("dockershim.sock");
    let dead = WORDS.iter().any(|words| text.contains(words)) && !text.contains("permission denied");
    crictl && ends && dead && !text.contains("Unimplemented") && !text.contains("pulling image")
}

/// Whether the same run says that it goes through its default endpoints.
fn message_says_default(evidence: &Evidence, message: &Message) -> bool {
    evidence.items().get(message.item).is_some_and(|item| item.text.contains("using default endpoints"))
}

/// Whether another socket is known to be the runtime's.
fn other_socket(evidence: &Evidence, node: &str, socket: &str) -> bool {
    let read = evidence.read();
    let serves = |name: &str| read.facts.unit_of(node, name).any(|unit| unit.value.state == "active");
    let addresses = read.configs.iter().filter(|config| same_node(&config.node, node));
    let differs = addresses.filter_map(|config| config.string(&["grpc", "address"])).any(|address| address.value != socket);
    differs || ((serves("containerd") || serves("crio")) && !["/run/containerd/containerd.sock", "/var/run/containerd/containerd.sock"].contains(&socket))
}

fn stopped(evidence: &Evidence, node: &str) -> bool {
    let dead = |unit: &crate::read::facts::Unit| matches!(unit.state.as_str(), "inactive" | "failed" | "absent" | "activating");
    evidence.read().facts.unit_of(node, "containerd").any(|unit| dead(&unit.value))
}

/// The first wrong character of the file's line: where it leaves the path of containerd's socket.
fn place(evidence: &Evidence, setting: &Fact<Setting>, socket: &str) -> (Place, String) {
    let item = &evidence.items()[setting.item];
    let path = item.origin.path().unwrap_or("/etc/crictl.yaml").to_owned();
    let from = Position { line: setting.line, column: 1 }.offset(&item.text);
    let Some(at) = item.text.get(from..).and_then(|rest| rest.find(socket)) else {
        return (cri::machine(&setting.node, &path), path);
    };
    let name = socket.rfind('/').map_or(0, |slash| slash + 1);
    (Place::Text { item: setting.item, span: from + at + name..from + at + socket.len() }, path)
}

/// The same change for the image endpoint; the socket lies in containerd's own directory.
fn with_directory(evidence: &Evidence, fix: Fix, item: usize) -> Fix {
    let text = &evidence.items()[item].text;
    let mut changed = Fix { edits: Vec::new(), ..fix };
    for (at, name) in text.match_indices("dockershim.sock") {
        changed = changed.edit(item, at..at + name.len(), "containerd/containerd.sock");
    }
    changed
}
