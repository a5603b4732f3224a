//! The request was sent on to a host that the node cannot reach.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::network::{called, proxies};
use crate::read::pulls::{explain, grouped};
use crate::read::reference::{authority, host, same_registry};
use crate::read::{Answer, Pull, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0159",
    key: "mirror-redirects-to-blocked-host",
    title: "registry sends on to a host that is blocked",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let sent = read.pulls.iter().filter(|pull| {
        matches!(pull.answer, Answer::Silent | Answer::Refused | Answer::Lookup) && is_elsewhere(pull)
    });
    for ((asked, registry, node), pulls) in grouped(sent, |pull| (pull.asked.clone(), pull.registry().to_owned(), pull.node.clone())) {
        let Some(first) = pulls.first() else { continue };
        let mirrors = mirrors(evidence, &registry, &node);
        if mirrors.iter().any(|mirror| same_registry(mirror, &asked)) || proxies(evidence, &node).shell.is_some() {
            continue;
        }
        let from = mirrors.first().map_or(registry.as_str(), String::as_str);
        let cause = format!("`{from}` sends on to `{asked}`, which the node does not reach");
        let place = Place::Service(asked.clone());
        let shown = called(evidence, &node, host(&asked)) == Some(false) || evidence.asked("curl", None).any(|(_, item)| {
            item.text.lines().any(|line| line.to_lowercase().starts_with("location:") && line.contains(host(&asked)))
        });
        let finding = if shown {
            findings.proven(place, cause)
        } else if !mirrors.is_empty() {
            findings.likely(place, cause)
        } else {
            let mirror = format!("mirror configuration for {registry} (config.toml / hosts.toml)");
            let reach = format!("whether the node reaches {asked}:443");
            findings.open(place, cause).or(&["proxy-not-configured", "registry-unreachable"]).needs(&[
                &mirror,
                &reach,
                "proxy environment of containerd (systemctl show containerd -p Environment)",
            ])
        };
        finding.weigh(1);
        explain(finding, &read.messages, &pulls);
        if first.answer == Answer::Lookup {
            finding.or(&["node-dns-failure"]);
        }
        finding.fix(
            Fix::manual("open the way to that host, or use a mirror that fetches it itself")
                .step(format!("curl -sI https://{from}/v2/ ; curl -sv https://{asked}/v2/ -o /dev/null")),
        );
    }
}

/// Whether another host was asked than the image's registry, and not as a mirror (`?ns=`).
fn is_elsewhere(pull: &Pull) -> bool {
    let Some(reference) = &pull.reference else { return false };
    let token = pull.url.contains("token") || pull.asked.starts_with("auth.");
    !pull.url.is_empty() && !token && !pull.url.contains("ns=") && !same_registry(reference.upstream(), &pull.asked)
}

/// Hosts of the mirrors of a registry on a node.
fn mirrors(evidence: &Evidence, registry: &str, node: &str) -> Vec<String> {
    let read = evidence.read();
    let legacy = read.configs.iter().filter(|config| same_node(&config.node, node)).flat_map(|config| config.mirrors());
    let legacy = legacy.filter(|mirror| mirror.key.value == registry || mirror.key.value == "*");
    let legacy = legacy.flat_map(|mirror| mirror.endpoints);
    let files = read.hosts.iter().filter(|file| same_node(&file.node, node));
    let files = files.filter(|file| file.directory == registry || file.directory == "_default");
    let files = files.flat_map(|file| file.hosts()).map(|host| host.url);
    legacy.chain(files).map(|url| authority(&url.value).to_owned()).collect()
}
