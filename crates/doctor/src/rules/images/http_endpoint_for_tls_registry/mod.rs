//! A registry that speaks TLS is asked in plain HTTP.

use std::ops::Range;

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::{Pull, pulls, reference, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0119",
    key: "http-endpoint-for-tls-registry",
    title: "http:// for a registry that speaks TLS",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: [&str; 4] = [
    "malformed HTTP response",
    "HTTP request to an HTTPS server",
    "plain HTTP request was sent to HTTPS port",
    "HTTP request was sent to an HTTPS",
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let refused = read.pulls.iter().filter(|pull| is_refused(pull));
    for ((node, host), pulls) in pulls::grouped(refused, |pull| (pull.node.clone(), pull.asked.clone())) {
        let written = endpoint(evidence, &node, &host);
        let decided = pulls.iter().any(|pull| WORDS.iter().any(|words| pull.says(words)));
        let by_http = pulls.iter().any(|pull| pull.url.starts_with("http://"));
        let place = match &written {
            Some((item, span, _)) => Place::Text { item: *item, span: span.clone() },
            None => Place::Service(host.clone()),
        };
        let cause = format!("`{host}` speaks TLS, but is asked in plain HTTP");
        let finding = if decided || written.is_some() {
            findings.proven(place, cause)
        } else if by_http {
            findings.likely(place, cause)
        } else {
            let finding = findings.open(place, format!("`{host}` answers 400 Bad Request"));
            finding.needs(&["/etc/containerd/config.toml and hosts.toml of the node", "curl -v with both schemes, http:// and https://"]);
            finding
        };
        pulls::explain(finding, &read.messages, &pulls);
        let fix = match written {
            Some((item, span, restart)) => {
                let fix = Fix::review("write https://, and name the registry's CA if it has its own").edit(item, span, "https://");
                if restart { fix.restart("containerd") } else { fix }
            }
            None => Fix::manual("write https:// for this host")
                .step(format!("grep -rn '{host}' /etc/containerd/"))
                .step("systemctl restart containerd"),
        };
        finding.weigh(1).fix(fix);
    }
}

fn is_refused(pull: &Pull) -> bool {
    WORDS.iter().any(|words| pull.says(words)) || pull.says("400 Bad Request")
}

/// Where the node is told to use `http://` for the host.
fn endpoint(evidence: &Evidence, node: &str, host: &str) -> Option<(usize, Range<usize>, bool)> {
    let mut urls = evidence.read().registry_urls().into_iter().filter(|url| same_node(&url.node, node));
    let url = urls.find(|url| url.value.value.starts_with("http://") && reference::authority(&url.value.value) == host)?;
    let text = &evidence.items()[url.item].text;
    Some((url.item, url.value.part(text, 0, "http://".len()), url.role == crate::read::registry::Role::Endpoint))
}
