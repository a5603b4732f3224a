//! An entry of the mirrors table that seems meant for a registry but is not its host and port.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::Mirror;
use crate::read::registry::{is_plain_http, is_tool, is_unknown_authority, meant, seems_meant};
use crate::read::{ContainerdConfig, Pull, pulls, reference};
use crate::rule::{Findings, Rule};
use crate::text::is_invisible;

pub const RULE: Rule = Rule {
    code: "SM0106",
    key: "mirror-key-mismatch",
    title: "mirror entry for another host or port than the image's",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let direct = read.pulls.iter().filter(|pull| !is_tool(pull.speaker) && !pull.registry().is_empty());
    let groups = pulls::grouped(direct, |pull| (pull.node.clone(), pull.registry().to_owned()));
    for ((node, registry), pulls) in groups {
        let settings = read.registries(&node);
        if settings.entry(&registry).is_some() {
            continue;
        }
        let Some((config, mirror)) = best(settings.mirrors(), &registry) else { continue };
        let alias = reference::same_registry(&meant(&mirror.key.value), &registry);
        let told = |pull: &&Pull| is_plain_http(pull) || is_unknown_authority(&pull.text);
        let other = |pull: &&Pull| alias && pull.asked != registry_of(&mirror);
        let pulls: Vec<&Pull> = pulls.into_iter().filter(|pull| told(pull) || other(pull)).collect();
        if pulls.is_empty() {
            continue;
        }
        let text = &evidence.items()[config.item].text;
        let place = Place::Text { item: config.item, span: mirror.key.from_difference(text, &registry) };
        let cause = format!("the mirror is set for `{}`, but the image comes from `{registry}`", mirror.key.value);
        let sure = pulls.iter().all(|pull| is_plain_http(pull)) || alias;
        let finding = if sure { findings.proven(place, cause) } else { findings.likely(place, cause) };
        pulls::explain(finding, &read.messages, &pulls);
        let fix = Fix::review(format!("name the table `{registry}`, if no image comes from `{}`", mirror.key.value))
            .edit(config.item, mirror.key.span.clone(), format!("\"{registry}\""))
            .restart("containerd");
        finding.weigh(1).fix(fix);
    }
}

fn registry_of(mirror: &Mirror) -> &str {
    mirror.endpoints.first().map_or("", |url| reference::authority(&url.value))
}

/// The entry that is most like the registry; flaws of keys have rules of their own.
fn best<'a>(
    mirrors: impl Iterator<Item = (&'a ContainerdConfig, Mirror)>,
    registry: &str,
) -> Option<(&'a ContainerdConfig, Mirror)> {
    let flawed = |key: &str| key.contains("://") || key.contains(|one: char| one.is_whitespace() || is_invisible(one));
    let rank = |mirror: &Mirror| {
        let key = meant(&mirror.key.value);
        let urls = mirror.endpoints.iter().any(|url| reference::authority(&url.value) == registry);
        (reference::same_registry(&key, registry), reference::host(&key) == reference::host(registry), urls)
    };
    let fitting = mirrors.filter(|(_, mirror)| {
        let urls: Vec<&str> = mirror.endpoints.iter().map(|url| url.value.as_str()).collect();
        !flawed(&mirror.key.value) && seems_meant(&mirror.key.value, &urls, registry)
    });
    fitting.max_by_key(|(_, mirror)| rank(mirror))
}
