//! A containerd configuration that containerd 2, which the target needs, does not read as it is meant.

use super::target::target;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0809",
    key: "upgrade-containerd-config",
    title: "containerd configuration that has to be migrated",
    severity: Severity::Warning,
    page: include_str!("page.md"),
    check,
};

/// First Kubernetes that needs containerd 2.
const NEEDS_2: u32 = 36;

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    if target(evidence).is_none_or(|target| target < NEEDS_2) {
        return;
    }
    for config in evidence.read().configs.iter().filter(|config| config.toml.is_ok()) {
        if evidence.read().version(&config.node, "containerd").is_some_and(|version| version.number >= (2, 0)) {
            continue;
        }
        let begin = Place::Text { item: config.item, span: 0..0 };
        if config.version() < 2 && !evidence.items()[config.item].text.trim().is_empty() {
            let finding = findings.proven(begin, "its version is 1, which containerd 2 refuses");
            finding.severity(Severity::Error).fix(migrate());
        }
        if let Some(mirror) = config.mirrors().first() {
            let place = Place::Text { item: config.item, span: mirror.key.span.clone() };
            let cause = "registry mirrors stand in the legacy table, which containerd 2.x drops: they become `hosts.toml` files";
            let finding = findings.proven(place, cause);
            finding.fix(
                Fix::manual("write a hosts.toml for each registry, and set config_path")
                    .step("mkdir -p /etc/containerd/certs.d/HOST && $EDITOR /etc/containerd/certs.d/HOST/hosts.toml"),
            );
        }
    }
}

fn migrate() -> Fix {
    Fix::manual("migrate it with the new containerd").step("containerd config migrate > /etc/containerd/config.toml.new")
}
