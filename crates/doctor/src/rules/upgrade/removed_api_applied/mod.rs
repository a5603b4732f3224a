//! An object was applied from a manifest whose apiVersion the target no longer serves.

use serde_json::Value;

use super::target::target;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::rules::manifests::removed;

pub const RULE: Rule = Rule {
    code: "SM0801",
    key: "upgrade-removed-api-applied",
    title: "object applied in an API version that will be gone",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// Where `kubectl apply` keeps the manifest.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(target) = target(evidence) else { return };
    for found in &evidence.read().objects {
        let applied = found.object["metadata"]["annotations"][APPLIED].as_str();
        let Some(manifest) = applied.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { continue };
        let (Some(version), Some(kind)) = (manifest["apiVersion"].as_str(), manifest["kind"].as_str()) else { continue };
        let Some(removed) = removed::find(version, kind).filter(|removed| removed.gone <= target) else { continue };
        let place = Place::Object {
            kind: kind.to_owned(),
            namespace: found.namespace().to_owned(),
            name: found.name().to_owned(),
            field: format!("metadata.annotations[{APPLIED}]"),
        };
        let cause = format!(
            "it was applied as {version}, which Kubernetes 1.{} no longer serves: the same manifest is refused then",
            removed.gone
        );
        let finding = findings.proven(place, cause);
        finding.note("the object itself stays and is served in its newer version");
        let fix = match removed.to {
            "" => Fix::manual(format!("nothing takes the place of {kind}: remove it from the manifests")),
            to => Fix::manual(format!("write {to} into the manifest and apply it"))
                .step(format!("kubectl convert -f FILE --output-version {to}   # where fields differ")),
        };
        finding.fix(fix);
    }
}
