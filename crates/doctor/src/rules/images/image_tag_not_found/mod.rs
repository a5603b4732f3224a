//! The tag or digest is not in the registry.

use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::{Answer, Pull, same_node};
use crate::read::pulls::{explain, grouped};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0142",
    key: "image-tag-not-found",
    title: "image is not in the registry",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let absent = read.pulls.iter().filter(|pull| pull.answer == Answer::Absent);
    for (image, pulls) in grouped(absent, |pull| pull.image.clone()) {
        let Some(first) = pulls.first() else { continue };
        if image.is_empty() || is_there(evidence, first) {
            continue;
        }
        let what = match &first.reference {
            Some(found) if !found.digest.is_empty() => format!("digest `{}` of `{}`", found.digest, found.repository),
            Some(found) if found.tag.is_empty() => {
                format!("tag `latest` (none is written) of `{}`", found.repository)
            }
            Some(found) => format!("tag `{}` of `{}`", found.tag, found.repository),
            None => format!("`{image}`"),
        };
        let cause = format!("`{}` has no {what}", first.registry());
        let finding = if mirrored(evidence, first) {
            let finding = findings.open(place(evidence, first), cause);
            finding.or(&["mirror-endpoint-path-without-v2", "hosts-override-path-missing"]).needs(&[
                "access log of the mirror (path that was asked for)",
                "tag list of the repository in the registry",
            ])
        } else {
            findings.likely(place(evidence, first), cause)
        };
        explain(finding, &read.messages, &pulls);
        finding.fix(Fix::manual("name a tag that exists, or push this one").step(format!(
            "skopeo list-tags docker://{}",
            first.reference.as_ref().map_or("REPOSITORY".to_owned(), |found| format!("{}/{}", found.registry, found.repository))
        )));
    }
}

/// Whether a mirror stands between.
fn mirrored(evidence: &Evidence, pull: &Pull) -> bool {
    let read = evidence.read();
    let registry = pull.registry();
    let legacy = read.configs.iter().filter(|config| same_node(&config.node, &pull.node));
    let mut mirrors = legacy.flat_map(|config| config.mirrors());
    let with_path = |url: &str| url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let legacy = mirrors.any(|mirror| {
        let ours = mirror.key.value == registry || mirror.key.value == "*";
        ours && mirror.endpoints.iter().any(|endpoint| with_path(&endpoint.value))
    });
    let files = read.hosts.iter().filter(|file| file.directory == registry || file.directory == "_default");
    legacy || files.flat_map(|file| file.hosts()).any(|host| with_path(&host.url.value) && !host.override_path)
}

/// Whether the evidence shows that the tag exists.
fn is_there(evidence: &Evidence, pull: &Pull) -> bool {
    let Some(reference) = &pull.reference else { return false };
    let tag = if reference.tag.is_empty() { "latest" } else { reference.tag.as_str() };
    let quoted = format!("\"{tag}\"");
    evidence.items().iter().any(|item| {
        let source = item.origin.0.as_str();
        let asked = source.contains("tags/list") || source.contains("list-tags") || source.contains("crane ls");
        asked && source.contains(&reference.repository) && (item.text.contains(&quoted) || item.text.lines().any(|line| line.trim() == tag))
    })
}
