//! The registry is declared with `http://` as it should be, but that attempt failed, and the HTTPS fallback is shown.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::Entry;
use crate::read::{Answer, Attempt, Pull, pulls, reference, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0118",
    key: "http-mirror-fallback-to-https",
    title: "plain-HTTP attempt failed, the HTTPS fallback is shown",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for ((node, host), pulls) in read.plain_http() {
        let registry = pulls.first().map(|pull| pull.registry().to_owned()).filter(|one| !one.is_empty());
        let registry = registry.unwrap_or_else(|| host.clone());
        let settings = read.registries(&node);
        let declared = settings.entry(&registry).filter(|entry| plain(entry));
        let failed = attempt(evidence, &node, &host, declared.as_ref());
        let absent = pulls.iter().find_map(|pull| tag_absent(evidence, pull));
        if declared.is_none() && failed.is_none_or(|attempt| !attempt.url.starts_with("http://")) {
            continue;
        }
        let place = Place::Machine { node: node.clone(), what: format!("registry {registry}") };
        let finding = match (failed, absent) {
            (Some(attempt), _) => {
                let why = match attempt.answer {
                    Answer::Absent => "was answered with \"not found\"",
                    Answer::Refused => "was refused",
                    Answer::Silent => "was not answered",
                    Answer::Lookup => "found no address",
                    _ => "failed",
                };
                let finding = findings.proven(place, format!("the plain-HTTP request to `{}` {why}, so HTTPS was tried", attempt.host));
                if let Some(message) = read.messages.get(attempt.message) {
                    finding.quote(message.item, message.line);
                }
                finding
            }
            (None, Some((item, tag))) => {
                let cause = format!("`{registry}` is declared with http://, but has no tag `{tag}`; the HTTPS fallback is shown");
                let finding = findings.proven(place, cause);
                finding.quote(item, 1);
                finding
            }
            (None, None) => {
                let cause = format!("`{registry}` is declared with http://, and yet HTTPS was tried: the plain-HTTP attempt failed, or was never made");
                let tag = pulls.iter().find_map(|pull| pull.reference.as_ref()).map_or("", |image| image.tag.as_str());
                let finding = findings.open(place, cause);
                finding.or(&["image-tag-not-found", "http-registry-not-declared", "containerd-not-restarted"]).needs(&[
                    "containerd journal lines \"trying next host\" for this pull",
                    &format!("whether tag {tag} exists in the registry"),
                    "containerd --version and time of its last start",
                    "crictl info (registry settings that containerd runs with)",
                ]);
                finding
            }
        };
        pulls::explain(finding, &read.messages, &pulls);
        let image = pulls.iter().find_map(|pull| pull.reference.as_ref());
        let repository = image.map_or("", |image| image.repository.as_str());
        let fix = Fix::manual("remove the reason of the first failure")
            .step(format!("curl -s http://{registry}/v2/{repository}/tags/list"))
            .step("journalctl -u containerd | grep 'trying next host'");
        finding.fix(fix);
    }
}

/// Whether an entry names only URLs that begin with `http://`, written as they should be.
fn plain(entry: &Entry<'_>) -> bool {
    if let Entry::Hosts(file) = entry
        && file.hosts().is_empty()
    {
        return false;
    }
    let urls = match entry {
        Entry::Hosts(file) => file.hosts().into_iter().map(|host| host.url.value).collect::<Vec<_>>(),
        other => other.urls().into_iter().map(|(_, url)| url.value).collect(),
    };
    let good = |url: &String| url.starts_with("http://") && url.bytes().all(|byte| byte.is_ascii_graphic());
    !urls.is_empty() && urls.iter().any(good)
}

/// The first attempt, as the journal shows it.
fn attempt<'a>(evidence: &'a Evidence, node: &str, host: &str, entry: Option<&Entry<'_>>) -> Option<&'a Attempt> {
    let read = evidence.read();
    let urls: Vec<String> = entry.map(|entry| entry.urls().into_iter().map(|(_, url)| url.value).collect()).unwrap_or_default();
    let declared = |attempt: &Attempt| urls.iter().any(|url| reference::authority(url) == attempt.host) || attempt.host == host;
    read.attempts.iter().find(|attempt| {
        let here = read.messages.get(attempt.message).is_some_and(|message| same_node(&message.node, node));
        let tls = attempt.url.starts_with("https://") || attempt.text.contains("HTTP response to HTTPS client");
        here && !tls && declared(attempt)
    })
}

/// A list of the repository's tags that lacks the image's.
fn tag_absent(evidence: &Evidence, pull: &Pull) -> Option<(usize, String)> {
    let image = pull.reference.as_ref().filter(|image| !image.tag.is_empty())?;
    let tag = format!("\"{}\"", image.tag);
    let found = evidence.items().iter().enumerate().find(|(_, item)| {
        let kind = matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text);
        let about = item.text.contains(&image.repository) || item.origin.0.contains(&image.repository);
        let list = item.text.contains("\"tags\":") || item.text.contains("MANIFEST_UNKNOWN") || item.text.contains("NAME_UNKNOWN");
        kind && about && list && !item.text.split_once("\"tags\":").is_some_and(|(_, tags)| tags.contains(&tag))
    });
    found.map(|(number, _)| (number, image.tag.clone()))
}
