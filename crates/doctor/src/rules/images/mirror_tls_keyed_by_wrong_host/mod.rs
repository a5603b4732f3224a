//! TLS settings stand under another name than that of the host that is asked.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::HostSettings;
use crate::read::{ContainerdConfig, HostsToml, Pull, pulls, reference, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0124",
    key: "mirror-tls-keyed-by-wrong-host",
    title: "TLS settings under another name than the host that is asked",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for ((node, host), pulls) in read.unknown_authorities() {
        let settings = read.registries(&node);
        for config in &settings.configs {
            let all = config.host_settings();
            if all.iter().any(|one| one.key.value == host && one.has_tls()) {
                continue;
            }
            let meant = all.iter().filter(|one| one.has_tls()).find(|one| is_meant(config, one, &host, &pulls));
            if let Some(one) = meant {
                report(evidence, findings, config, one, &host, &pulls);
            }
        }
        for file in read.hosts.iter().filter(|file| same_node(&file.node, &node)) {
            in_hosts(evidence, findings, file, &host, &pulls);
        }
    }
}

/// Whether the settings seem to be meant for the host: it is the mirror of that name, or the same host with another port.
fn is_meant(config: &ContainerdConfig, settings: &HostSettings, host: &str, pulls: &[&Pull]) -> bool {
    let key = settings.key.value.as_str();
    let mirrored = config.mirrors().into_iter().any(|mirror| {
        let upstream = reference::same_registry(&mirror.key.value, key);
        upstream && mirror.endpoints.iter().any(|url| reference::authority(&url.value) == host)
    });
    let image = pulls.iter().any(|pull| reference::same_registry(pull.registry(), key) && pull.asked == host);
    mirrored || image || reference::host(key) == reference::host(host)
}

fn report(
    evidence: &Evidence,
    findings: &mut Findings<'_>,
    config: &ContainerdConfig,
    settings: &HostSettings,
    host: &str,
    pulls: &[&Pull],
) {
    let text = &evidence.items()[config.item].text;
    let key = &settings.key;
    let place = Place::Text { item: config.item, span: key.inside(text) };
    let cause = format!("the TLS settings stand under `{}`, but the host that is asked is `{host}`", key.value);
    let finding = findings.proven(place, cause);
    pulls::explain(finding, &evidence.read().messages, pulls);
    let raw = &text[key.span.clone()];
    let header = |(at, _): &(usize, &str)| text[..*at].rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with('[') && line.contains("registry.configs."));
    let mut fix = Fix::review(format!("put them under `{host}`"));
    for (at, found) in text.match_indices(raw).filter(header) {
        fix = fix.edit(config.item, at..at + found.len(), format!("\"{host}\""));
    }
    finding.weigh(3).fix(fix.restart("containerd"));
}

/// `ca` of the upstream in a `hosts.toml` does not count for its mirrors.
fn in_hosts(evidence: &Evidence, findings: &mut Findings<'_>, file: &HostsToml, host: &str, pulls: &[&Pull]) {
    let hosts = file.hosts();
    let Some(asked) = hosts.iter().find(|one| reference::authority(&one.url.value) == host) else { return };
    let other = hosts.iter().filter(|one| one.url != asked.url).flat_map(|one| one.ca.iter().cloned());
    let Some(ca) = file.server_ca().into_iter().chain(other).next() else { return };
    if !asked.ca.is_empty() || asked.skip_verify {
        return;
    }
    let text = &evidence.items()[file.item].text;
    let place = Place::Text { item: file.item, span: ca.span.clone() };
    let cause = format!("`ca` is set for another host of the file, but not for `{host}`");
    let finding = findings.proven(place, cause);
    pulls::explain(finding, &evidence.read().messages, pulls);
    let end = text[asked.url.span.end..].find('\n').map_or(text.len(), |length| asked.url.span.end + length);
    let line = format!("\n  ca = \"{}\"", ca.value);
    finding.weigh(3).fix(Fix::review(format!("set `ca` for `{host}` too")).edit(file.item, end..end, line));
}
