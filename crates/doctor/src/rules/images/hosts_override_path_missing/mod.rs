//! A host of a `hosts.toml` whose path already holds `/v2`, without `override_path = true`: `/v2` is added once more.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::{Host, HostsToml};
use crate::read::registry::{doubles_api, has_api, path};
use crate::read::{Answer, Pull, pulls, reference};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0105",
    key: "hosts-override-path-missing",
    title: "path of a mirror gets /v2 twice",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen = false;
    for file in &read.hosts {
        for host in file.hosts().into_iter().filter(doubles_api) {
            seen = true;
            report(evidence, findings, file, &host, insertion(evidence, file, &host));
        }
        let server = file.server().filter(|_| !file.server_overrides_path());
        if let Some(url) = server {
            let server = Host { url, override_path: false, capabilities: Vec::new(), ca: Vec::new(), skip_verify: false };
            if doubles_api(&server) {
                seen = true;
                let text = &evidence.items()[file.item].text;
                let end = line_end(text, server.url.span.end);
                let fix = Fix::safe("set `override_path = true`").edit(file.item, end..end, "\noverride_path = true");
                report(evidence, findings, file, &server, fix);
            }
        }
    }
    if !seen {
        from_access_log(evidence, findings);
    }
}

fn report(evidence: &Evidence, findings: &mut Findings<'_>, file: &HostsToml, host: &Host, fix: Fix) {
    let read = evidence.read();
    let Some((at, path)) = path(&host.url.value) else { return };
    let text = &evidence.items()[file.item].text;
    let place = Place::Text { item: file.item, span: host.url.part(text, at, usize::MAX) };
    let cause = format!("the path `{path}` holds /v2, but `override_path` is not set, so `{path}/v2/…` is asked for");
    let finding = findings.proven(place, cause);
    let authority = reference::authority(&host.url.value);
    let pulls = read.pulls_meant(&file.node, &file.directory);
    let fits = |pull: &&Pull| matches!(pull.answer, Answer::Absent | Answer::Page | Answer::Other) || pull.asked != authority;
    let pulls: Vec<&Pull> = pulls.into_iter().filter(fits).collect();
    pulls::explain(finding, &read.messages, &pulls);
    if pulls.is_empty() {
        finding.severity(Severity::Warning);
    }
    finding.weigh(2).fix(fix);
}

/// `override_path = true` below the table's header, or in place of `false`.
fn insertion(evidence: &Evidence, file: &HostsToml, host: &Host) -> Fix {
    let text = &evidence.items()[file.item].text;
    let written = file.toml.as_ref().ok().and_then(|toml| toml.boolean(&["host", &host.url.value, "override_path"]));
    let fix = Fix::safe("set `override_path = true`");
    match written {
        Some(found) => fix.edit(file.item, found.span, "true"),
        None => {
            let end = line_end(text, host.url.span.end);
            fix.edit(file.item, end..end, "\n  override_path = true")
        }
    }
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |length| from + length)
}

fn from_access_log(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for (number, item) in evidence.items().iter().enumerate() {
        if !matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text) {
            continue;
        }
        let asked = |line: &&str| {
            let path = line.split_once("HEAD /").or_else(|| line.split_once("GET /")).map(|(_, rest)| rest);
            let path = path.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
            let doubled = path.split("v2/").count() > 2 && has_api(path);
            doubled && path.contains("/manifests/") && line.contains(" 404")
        };
        let Some(line) = item.text.lines().find(asked) else { continue };
        let node = item.origin.source().trim_end_matches(" access log").to_owned();
        let finding = findings.proven(Place::Service(node), "the mirror is asked for a path that has /v2 twice");
        finding.quote_word(evidence, number, line);
        let fits = |pull: &&Pull| matches!(pull.answer, Answer::Absent | Answer::Silent | Answer::Refused | Answer::Lookup);
        let pulls: Vec<&Pull> = read.pulls.iter().filter(fits).collect();
        pulls::explain(finding, &read.messages, &pulls);
        let fix = Fix::manual("set `override_path = true` for the mirror in its hosts.toml")
            .step("grep -rn '^\\[host' /etc/containerd/certs.d/");
        finding.weigh(2).fix(fix);
    }
}
