//! The API server's port does not answer: a firewall, a wrong address, or nothing that listens.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::output;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::{Message, Speaker};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0304",
    key: "api-server-unreachable",
    title: "no answer from the API server",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// The server of a URL, of a dialled address, of kubectl's complaint. IPv6 addresses stand in brackets.
static SERVER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:https://|dial tcp |onnection to the server )((?:\[[0-9a-fA-F:.]+\]|[\w.\-]+)(?::\d+)?)"#).ok()
});

const SILENT: [&str; 7] = [
    "Client.Timeout",
    "i/o timeout",
    "no route to host",
    "network is unreachable",
    "context deadline exceeded",
    "TLS handshake timeout",
    "host is down",
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut by_server: BTreeMap<(String, String), Vec<&Message>> = BTreeMap::new();
    for message in &evidence.read().messages {
        if let Some(server) = unreachable(evidence, message) {
            by_server.entry((server, message.node.clone())).or_default().push(message);
        }
    }
    for ((server, node), messages) in by_server {
        let silent = messages.iter().any(|message| SILENT.iter().any(|words| message.text.contains(words)));
        let from = if node.is_empty() { String::new() } else { format!(" from {node}") };
        let unknown = messages.iter().all(|message| message.text.contains("no such host"));
        let cause = if unknown {
            format!("the API server's name {server} has no address{from}: it is wrong, or the name server does not know it")
        } else if silent {
            format!("the API server {server} does not answer{from}: a firewall, a wrong address, or a machine that is down")
        } else {
            format!("nothing listens at {server}{from}: the API server does not run, or the address is wrong")
        };
        let place = Place::Service(format!("API server {server}"));
        let known = looked(evidence, &server);
        let finding = if known.is_empty() { findings.open(place, cause) } else { findings.likely(place, cause) };
        for message in messages {
            finding.message(message);
        }
        for (item, line) in known {
            finding.quote(item, line);
        }
        let (host, port) = server.rsplit_once(':').unwrap_or((&server, "443"));
        let probe = format!("nc -vz {host} {port}");
        finding
            .needs(&[
                &format!("{probe}{from}"),
                "crictl ps -a of kube-apiserver on the control plane",
                "firewall rules between them (nft list ruleset, security groups, load balancer)",
            ])
            .fix(
                Fix::manual("find out who does not answer, then start it or open the way")
                    .step(format!("{probe}    # here"))
                    .step("crictl ps -a --name kube-apiserver    # on the control plane")
                    .step(format!("ss -ltnp | grep {port}    # on the control plane")),
            );
    }
}

/// The server that a message says does not answer.
fn unreachable(evidence: &Evidence, message: &Message) -> Option<String> {
    let text = &message.text;
    let asks = matches!(message.speaker, Speaker::Kubeadm | Speaker::Kubectl | Speaker::Helm | Speaker::Other);
    let pasted = matches!(evidence.items()[message.item].kind, ItemKind::Text | ItemKind::KubeadmOutput | ItemKind::KubectlOutput);
    let fails = text.contains("connection refused")
        || text.contains("was refused - did you specify")
        || SILENT.iter().any(|words| text.contains(words));
    let other = [":8080", "/v2/", "webhook", ":10250", ":10248", "lookup ", "etcd", "pull", "rate limiter"];
    let unknown = message.speaker == Speaker::Kubeadm && text.contains("no such host");
    let fails = fails || unknown;
    let other = other.into_iter().filter(|word| !(unknown && *word == "lookup "));
    if !asks || !pasted || message.over || !fails || output::is_over(evidence, message) || other.into_iter().any(|word| text.contains(word)) {
        return None;
    }
    let server = SERVER.as_ref()?.captures(text)?.get(1)?.as_str();
    let api = text.contains(":6443")
        || text.contains("/api")
        || text.contains("/version")
        || text.contains("cluster-info")
        || text.contains("connection to the server")
        || text.contains("Unable to connect to the server");
    api.then(|| server.to_owned())
}

/// Lines of those who looked at the server: `nc`, `crictl ps`, `ss`, a firewall's rules.
fn looked(evidence: &Evidence, server: &str) -> Vec<(usize, u32)> {
    const TOOLS: [&str; 12] = [
        "nc ", "ncat", "telnet", "crictl ps", "ss -", "netstat", "iptables", "nft ", "ufw", "firewall", "security group",
        "kube-apiserver",
    ];
    let port = server.rsplit(':').next().unwrap_or(server);
    let items = evidence.items().iter().enumerate().filter(|(_, item)| {
        matches!(item.kind, ItemKind::NodeFacts | ItemKind::CrictlOutput)
            && TOOLS.iter().any(|tool| item.origin.source().contains(tool))
    });
    items
        .map(|(number, item)| {
            let told = |line: &&str| line.contains(port) || line.contains("kube-apiserver");
            let line = item.text.lines().position(|line| told(&line)).unwrap_or(0);
            (number, u32::try_from(line + 1).unwrap_or(1))
        })
        .collect()
}
