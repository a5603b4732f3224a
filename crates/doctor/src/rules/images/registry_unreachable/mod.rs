//! The registry's address does not answer: refused, no route, time-out.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::network::{called, proxies};
use crate::read::pulls::{explain, grouped};
use crate::read::reference::{authority, host, is_public, same_registry};
use crate::read::{Answer, Pull, Speaker};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0133",
    key: "registry-unreachable",
    title: "registry does not answer",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let dead = read.pulls.iter().filter(|pull| matches!(pull.answer, Answer::Refused | Answer::Silent));
    for ((asked, node), pulls) in grouped(dead, |pull| (pull.asked.clone(), pull.node.clone())) {
        let Some(first) = pulls.first() else { continue };
        let address = first.dialled().map(str::to_owned).unwrap_or_default();
        let place = Place::Service(format!("registry {asked}"));
        let cause = cause(first, &asked, &address);
        let tried = called(evidence, &node, host(&asked));
        let elsewhere = is_public(&asked) || redirected(evidence, first);
        let finding = if tried == Some(false) && !elsewhere {
            findings.proven(place, cause)
        } else if elsewhere || (first.answer == Answer::Silent && tried.is_none()) {
            question(findings.open(place, cause), first, &asked)
        } else {
            findings.likely(place, cause)
        };
        if proxies(evidence, &node).looked {
            finding.note("the runtime's unit was looked at for a proxy");
        }
        explain(finding, &read.messages, &pulls);
        let port = asked.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok()).unwrap_or("443");
        finding.fix(
            Fix::manual("start the registry, open the way to it, or correct the address")
                .step(format!("nc -vz -w3 {} {port}", host(&asked))),
        );
    }
}

fn question<'a>(
    finding: &'a mut crate::Finding,
    pull: &Pull,
    asked: &str,
) -> &'a mut crate::Finding {
    let calls = format!("curl -v https://{asked}/v2/ from the node, with and without proxy");
    let reach = format!("whether the node reaches {asked} (nc -vz)");
    finding.or(&["proxy-not-configured"]).needs(&[
        "proxy environment of containerd (systemctl show containerd -p Environment)",
        &calls,
        &reach,
    ]);
    if matches!(pull.speaker, Speaker::Ctr | Speaker::Nerdctl) {
        finding.weigh(-2);
    }
    finding
}

/// Whether another host was asked than the image's registry.
fn redirected(evidence: &Evidence, pull: &Pull) -> bool {
    let upstream = pull.reference.as_ref().map_or("", |reference| reference.upstream());
    let read = evidence.read();
    let mirrors = read.configs.iter().flat_map(|config| config.mirrors()).flat_map(|mirror| mirror.endpoints);
    let hosts = read.hosts.iter().flat_map(|file| file.hosts()).map(|host| host.url);
    let ours = mirrors.chain(hosts).any(|url| same_registry(authority(&url.value), &pull.asked));
    !upstream.is_empty() && !same_registry(upstream, &pull.asked) && !pull.url.contains("ns=") && !ours
}

fn cause(pull: &Pull, asked: &str, address: &str) -> String {
    let at = if address.is_empty() || address == asked { String::new() } else { format!(" ({address})") };
    let how = match pull.answer {
        Answer::Silent => "does not answer in time",
        _ if pull.says("connection refused") => "refuses connections: nothing listens there",
        _ if pull.says("no route to host") || pull.says("network is unreachable") => "cannot be reached: no route",
        _ => "closes connections",
    };
    format!("the registry `{asked}`{at} {how}")
}
