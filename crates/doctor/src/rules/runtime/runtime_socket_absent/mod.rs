//! There is no socket: the runtime does not run, is not installed, or listens elsewhere.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::{Message, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0219",
    key: "runtime-socket-absent",
    title: "no runtime behind the socket",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut nodes: Vec<(&str, &str)> = Vec::new();
    for message in evidence.read().failures() {
        if let Some(socket) = dead(message) {
            let node = message.node.as_str();
            if !nodes.iter().any(|(known, other)| *known == node && *other == socket) {
                nodes.push((node, socket));
            }
        }
    }
    for (node, socket) in nodes {
        report(evidence, findings, node, socket);
    }
}

/// The socket that a message finds dead.
fn dead(message: &Message) -> Option<&str> {
    const WORDS: [&str; 5] =
        ["no such file or directory", "connection refused", "does not exist", "context deadline exceeded", "timeout"];
    const RUNTIMES: [&str; 5] = ["containerd", "crio", "docker", "isulad", "podman"];
    let text = &message.text;
    let mut sockets = text.match_indices(".sock").filter_map(|(at, _)| {
        let start = text[..at].rfind(['"', ' ', '\'', '=', ':', '('])? + 1;
        cri::socket(text.get(start..at + 5)?)
    });
    let socket = sockets.find(|socket| RUNTIMES.iter().any(|name| socket.contains(name)))?;
    let dead = WORDS.iter().any(|words| text.contains(words)) && !text.contains("permission denied");
    // crictl goes through its default sockets; only its last word counts.
    let passing = text.starts_with("ERRO[") || text.starts_with("WARN[");
    (dead && !passing && !socket.contains("dockershim")).then_some(socket)
}

/// The unit behind a socket.
fn unit_of(socket: &str) -> &'static [&'static str] {
    if socket.contains("k3s") {
        &["k3s", "k3s-agent"]
    } else if socket.contains("crio") {
        &["crio", "cri-o"]
    } else if socket.contains("cri-dockerd") {
        &["cri-docker", "cri-dockerd"]
    } else if socket.contains("docker") {
        &["docker"]
    } else {
        &["containerd"]
    }
}

fn report(evidence: &Evidence, findings: &mut Findings<'_>, node: &str, socket: &str) {
    let read = evidence.read();
    let names = unit_of(socket);
    let unit = names.iter().flat_map(|name| read.facts.unit_of(node, name)).find(|unit| !unit.value.state.is_empty());
    let program = names.first().copied().unwrap_or("containerd");
    let uninstalled = evidence.items().iter().position(|item| {
        item.text.contains(&format!("{program}: command not found")) || item.text.contains(&format!("no {program} in ("))
    });
    let place = cri::machine(node, socket);
    let state = unit.map(|unit| unit.value.state.as_str());
    let finding = if let Some(item) = uninstalled {
        let finding = findings.proven(place, format!("{program} is not installed, so there is no {socket}"));
        finding.quote(item, 1);
        finding
    } else if let (Some(address), true) = (address(evidence, node, socket), state.is_none_or(|state| state == "active")) {
        findings.proven(place, format!("the client asks at {socket}, but {program} listens at {address}"))
    } else {
        match state {
            Some("absent") => findings.proven(place, format!("there is no {program} on this node, hence no {socket}")),
            Some("inactive") => findings.proven(place, format!("{program} does not run, hence no {socket}")),
            Some("failed" | "activating") => {
                findings.likely(place, format!("{program} does not come up, hence no {socket}; its journal tells why"))
            }
            Some("active") => findings.likely(place, format!("{program} runs but does not listen at {socket}")),
            _ => {
                let finding = findings.open(place, format!("nobody listens at {socket}: {program} is not installed, stopped, or does not come up"));
                finding
                    .or(&["containerd-config-syntax", "containerd-config-duplicate-table", "containerd-config-wrong-type"])
                    .or(&["containerd-config-version-mismatch"])
                    .needs(&["systemctl status containerd", "containerd journal (journalctl -u containerd)", "ls -l of the socket, containerd --version"]);
                finding
            }
        }
    };
    if let Some(unit) = unit {
        finding.quote(unit.item, unit.line);
    }
    let fits = |message: &&Message| same_node(&message.node, node);
    for message in read.failures().filter(fits).filter(|message| dead(message).is_some()) {
        finding.message(message);
    }
    for message in cri::symptoms(evidence, node).filter(|message| !message.text.contains("Unimplemented")) {
        finding.message(message);
    }
    let mut fix = Fix::manual(format!("have {program} run"));
    if matches!(state, Some("absent")) || uninstalled.is_some() {
        fix = fix.step(format!("install {program}"));
    }
    let fix = fix.step(format!("systemctl enable --now {program}")).step(format!("journalctl -u {program} -b | tail -50"));
    finding.fix(fix);
}

/// Where the runtime really listens, if that is told and is elsewhere.
fn address(evidence: &Evidence, node: &str, socket: &str) -> Option<String> {
    let plain = |path: &str| path.trim_start_matches("/var").to_owned();
    let read = evidence.read();
    let configs = read.configs.iter().filter(|config| same_node(&config.node, node));
    let set = configs.filter_map(|config| config.string(&["grpc", "address"])).map(|address| address.value);
    let served = read.messages.iter().filter(|message| same_node(&message.node, node) && message.text.starts_with("serving..."));
    let served = served.filter_map(|message| message.fields.iter().find(|(key, _)| key == "address"));
    let served = served.map(|(_, address)| address.clone()).filter(|address| !address.ends_with(".ttrpc"));
    let all: Vec<String> = set.chain(served).filter(|address| address.starts_with('/')).collect();
    let matches = all.iter().any(|address| plain(address) == plain(socket));
    if matches { None } else { all.into_iter().next() }
}
