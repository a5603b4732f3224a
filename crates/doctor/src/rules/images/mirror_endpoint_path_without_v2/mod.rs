//! An endpoint of the mirrors table with a path of its own: containerd then adds no `/v2`, and misses the registry's API.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::{Role, has_api, path};
use crate::read::{Answer, Attempt, Pull, pulls, reference, same_node};
use crate::rule::{Findings, Rule};
use crate::text::visible;

pub const RULE: Rule = Rule {
    code: "SM0104",
    key: "mirror-endpoint-path-without-v2",
    title: "mirror endpoint whose path leaves out /v2",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen = false;
    for url in read.registry_urls() {
        let Some((at, path)) = path(&url.value.value).filter(|(_, path)| !has_api(path)) else { continue };
        if !url.value.value.contains("://") || (url.role != Role::Endpoint && !overrides(evidence, &url)) {
            continue;
        }
        seen = true;
        let text = &evidence.items()[url.item].text;
        let span = url.value.part(text, at, usize::MAX);
        let place = Place::Text { item: url.item, span: span.clone() };
        let cause = format!("{} has the path `{}`, to which containerd adds no /v2", url.whose(), visible(path.trim()));
        let finding = findings.proven(place, cause);
        let host = reference::authority(&url.value.value);
        let pulls = read.pulls_meant(&url.node, &url.name);
        let pulls: Vec<&Pull> = pulls.into_iter().filter(|pull| fits(pull, host)).collect();
        pulls::explain(finding, &read.messages, &pulls);
        for attempt in read.attempts.iter().filter(|one| is_miss(one, host)) {
            if let Some(message) = read.messages.get(attempt.message) {
                finding.quote(message.item, message.line);
            }
        }
        if pulls.is_empty() {
            finding.severity(Severity::Warning);
        }
        let fix = if path.trim_matches('/').is_empty() {
            Fix::safe("delete the slash").edit(url.item, span, "")
        } else {
            let api = format!("/v2{}", path.trim_end_matches('/'));
            Fix::review(format!("write the path of the API: `{api}`")).edit(url.item, span, api)
        };
        finding.weigh(2).fix(url.finish(fix));
    }
    if !seen {
        from_access_log(evidence, findings);
    }
}

/// A host of a `hosts.toml` whose path is taken as it is.
fn overrides(evidence: &Evidence, url: &crate::read::registry::Url) -> bool {
    let file = evidence.read().hosts.iter().find(|file| file.item == url.item);
    file.is_some_and(|file| match url.role {
        Role::Host => file.hosts().iter().any(|host| host.url == url.value && host.override_path),
        _ => file.server_overrides_path(),
    })
}

/// Whether the pull fails as it does when a mirror knows nothing: it ends there, or at the next host.
fn fits(pull: &Pull, host: &str) -> bool {
    match pull.answer {
        Answer::Absent | Answer::Page | Answer::Other => true,
        Answer::Certificate | Answer::Scheme | Answer::Denied | Answer::Silent | Answer::Refused | Answer::Lookup => {
            pull.asked != host
        }
        _ => pull.asked != host,
    }
}

fn is_miss(attempt: &Attempt, host: &str) -> bool {
    attempt.answer == Answer::Absent && attempt.host == host
}

/// The mirror's own log shows which path was asked for.
fn from_access_log(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for (number, item) in evidence.items().iter().enumerate() {
        if !matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text) {
            continue;
        }
        let asked = |line: &&str| {
            let path = line.split_once("HEAD /").or_else(|| line.split_once("GET /")).map(|(_, rest)| rest);
            let path = path.and_then(|rest| rest.split_whitespace().next());
            path.is_some_and(|path| path.contains("/manifests/") && !format!("/{path}").contains("/v2/")) && line.contains(" 404")
        };
        let Some(line) = item.text.lines().find(asked) else { continue };
        let node = item.origin.source().trim_end_matches(" access log").to_owned();
        let finding = findings.proven(Place::Service(node), "the mirror is asked for manifests at a path without /v2");
        finding.quote_word(evidence, number, line);
        let absent = |pull: &&Pull| matches!(pull.answer, Answer::Absent | Answer::Silent | Answer::Refused | Answer::Lookup);
        let pulls: Vec<&Pull> = read.pulls.iter().filter(absent).filter(|pull| same_node(&pull.node, "")).collect();
        pulls::explain(finding, &read.messages, &pulls);
        let fix = Fix::manual("write the path of the registry's API into the endpoint, or none at all")
            .step("grep -n 'endpoint' /etc/containerd/config.toml")
            .step("systemctl restart containerd");
        finding.weigh(2).fix(fix);
    }
}
