//! `ctr` and `nerdctl` make their own connections, and do not see the proxy of containerd's unit.

use crate::evidence::{Evidence, Item, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::is_tool;
use crate::read::{Answer, Pull, Speaker, pulls, reference, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0121",
    key: "client-tool-ignores-containerd-proxy",
    title: "ctr or nerdctl does not use containerd's proxy",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let blocked = |pull: &&Pull| {
        let address = reference::host(&pull.asked);
        let local = address.parse::<std::net::IpAddr>().is_ok() || !address.contains('.');
        is_tool(pull.speaker) && matches!(pull.answer, Answer::Silent | Answer::Refused | Answer::Lookup) && !local
    };
    for (node, pulls) in pulls::grouped(read.pulls.iter().filter(blocked), |pull| pull.node.clone()) {
        let unit = unit_proxy(evidence, &node);
        let shell = shell_proxy(evidence, &node);
        if shell == Some(true) || unit == Some(None) {
            continue; // The tool has a proxy, or containerd has none either.
        }
        let host = pulls.first().map_or("", |pull| pull.asked.as_str());
        let works = pulls.iter().any(|pull| pulled(evidence, pull));
        let tool = if pulls.iter().any(|pull| pull.speaker == Speaker::Ctr) { "ctr" } else { "nerdctl" };
        let place = Place::Machine { node: node.clone(), what: tool.to_owned() };
        let finding = if let Some(Some(proxy)) = &unit {
            let cause = format!("containerd reaches `{host}` through the proxy {proxy}, but {tool} does not have it in its environment");
            findings.proven(place, cause)
        } else if works {
            findings.proven(place, format!("containerd can pull from `{host}`, but {tool} has another environment and gets no answer"))
        } else if pulls.iter().any(|pull| reference::is_public(&pull.asked) || pull.answer == Answer::Silent) {
            let finding = findings.open(place, format!("{tool} gets no answer from `{host}`; it sees only the proxy of its own shell"));
            finding.or(&["proxy-not-configured", "registry-unreachable", "node-dns-failure"]).needs(&[
                "systemctl show containerd -p Environment",
                "env | grep -i proxy in that shell",
                "crictl pull of the same image",
            ]);
            finding
        } else {
            continue;
        };
        pulls::explain(finding, &read.messages, &pulls);
        let image = pulls.first().map_or("", |pull| pull.image.as_str());
        let fix = Fix::manual("pull with crictl, or give the tool the proxy")
            .step(format!("crictl pull {image}"))
            .step("export HTTPS_PROXY=$(systemctl show containerd -p Environment | grep -o 'HTTPS_PROXY=[^ ]*' | cut -d= -f2-)");
        finding.weigh(3).fix(fix);
    }
}

/// Outputs of a node that tell of environments.
fn facts<'a>(evidence: &'a Evidence, node: &'a str) -> impl Iterator<Item = &'a Item> {
    let told = |item: &&Item| matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text);
    evidence.items().iter().filter(told).filter(move |item| same_node(item.origin.node().unwrap_or_default(), node))
}

fn names_proxy(line: &str) -> Option<&str> {
    let lower = line.to_ascii_lowercase();
    let at = lower.find("https_proxy=").or_else(|| lower.find("http_proxy="))?;
    let value = line.get(at..)?.split_once('=')?.1;
    Some(value.split([' ', '"', '\'']).find(|word| !word.is_empty()).unwrap_or_default())
}

/// The proxy of containerd's unit, without credentials: `None` where nothing tells, `Some(None)` where there is none.
fn unit_proxy(evidence: &Evidence, node: &str) -> Option<Option<String>> {
    let about = |item: &&Item| {
        let source = item.origin.source();
        source.contains("containerd") && (source.contains("systemctl") || source.contains("/etc/systemd"))
    };
    let mut told = None;
    for item in facts(evidence, node).filter(about) {
        let lines = item.text.lines().filter(|line| line.contains("Environment"));
        told = told.or(Some(None));
        if let Some(proxy) = lines.filter_map(names_proxy).find(|proxy| !proxy.is_empty()) {
            return Some(Some(reference::authority(proxy).to_owned()));
        }
    }
    told
}

/// Whether the tool's shell has a proxy.
fn shell_proxy(evidence: &Evidence, node: &str) -> Option<bool> {
    let about = |item: &&Item| item.origin.source().contains("env") && !item.origin.source().contains("systemctl");
    facts(evidence, node).find(about).map(|item| item.text.lines().any(|line| names_proxy(line).is_some()))
}

/// Whether the same image, or another of its registry, was pulled by containerd.
fn pulled(evidence: &Evidence, pull: &Pull) -> bool {
    let read = evidence.read();
    let registry = pull.registry();
    let good = |text: &str| ["uccessfully pulled", "returns image reference", "Image is up to date"].iter().any(|words| text.contains(words));
    read.messages.iter().any(|message| {
        let about = message.text.contains(&pull.image) || (!registry.is_empty() && message.text.contains(registry));
        let of_command = || evidence.items().get(message.item).is_some_and(|item| item.origin.source().contains(&pull.image));
        !is_tool(message.speaker) && good(&message.text) && (about || of_command())
    })
}
