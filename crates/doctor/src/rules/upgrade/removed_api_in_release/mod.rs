//! A Helm release holds objects in an apiVersion that the target no longer serves.

use super::target::target;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::rules::manifests::removed;

pub const RULE: Rule = Rule {
    code: "SM0802",
    key: "upgrade-removed-api-in-release",
    title: "Helm release with an API version that will be gone",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// What the items of releases are called.
const COMMAND: &str = "helm get manifest ";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(target) = target(evidence) else { return };
    for (number, item) in evidence.items().iter().enumerate() {
        let Some(release) = item.origin.source().strip_prefix(COMMAND) else { continue };
        let (name, namespace) = release.split_once(" -n ").unwrap_or((release, ""));
        for (index, line) in item.text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let (Some(version), Some(kind)) = (words.next(), words.next()) else { continue };
            let object = words.next_back().unwrap_or_default();
            let Some(removed) = removed::find(version, kind).filter(|removed| removed.gone <= target) else { continue };
            let place = Place::Object {
                kind: "HelmRelease".to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                field: format!("{kind} {object}"),
            };
            let cause = format!(
                "its {kind} {object} is {version}, which Kubernetes 1.{} no longer serves: `helm upgrade` and `helm \
                 rollback` of the release fail then",
                removed.gone
            );
            let finding = findings.proven(place, cause);
            finding.quote(number, u32::try_from(index + 1).unwrap_or(u32::MAX));
            let fix = Fix::manual("install a chart version that uses the newer API, before the upgrade")
                .step(format!("helm mapkubeapis {name} --namespace {namespace}   # a plugin: rewrites the stored release"));
            finding.fix(fix);
        }
    }
}
