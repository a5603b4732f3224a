//! An update would change spec.selector, which may not change.

use std::sync::LazyLock;

use regex::Regex;

use super::places;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0506",
    key: "selector-immutable",
    title: "selector of an existing object would change",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static SELECTOR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:The (?P<kind>\w+) "(?P<name>[^"]+)" is invalid|(?P<group>[A-Z]\w+)\.\w[\w.]* "(?P<named>[^"]+)" is invalid)?.*?spec\.selector: Invalid value: (?P<value>.*?): field is immutable"#).ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for message in evidence.read().failures() {
        if !message.text.contains("field is immutable") {
            continue;
        }
        let Some(found) = SELECTOR.as_ref().and_then(|form| form.captures(&message.text)) else { continue };
        let part = |names: [&str; 2]| names.iter().find_map(|name| found.name(name)).map(|part| part.as_str().to_owned());
        let kind = part(["kind", "group"]).unwrap_or_else(|| "Deployment".to_owned());
        let name = part(["name", "named"]).unwrap_or_default();
        let cause = format!("the {kind} `{name}` exists with another `spec.selector`, which can't be changed");
        let finding = findings.proven(places::object(&kind, "", &name, "spec.selector"), cause);
        finding.message(message);
        finding.fix(
            Fix::manual("leave the selector as it was, or delete the object and create it anew")
                .step(format!("kubectl get {} {name} -o jsonpath='{{.spec.selector}}'", kind.to_lowercase()))
                .step(format!("kubectl delete {} {name} --cascade=orphan keeps its pods until they are replaced", kind.to_lowercase())),
        );
    }
}
