//! An update would change a field that is fixed.

use std::sync::LazyLock;

use regex::Regex;

use super::places;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0556",
    key: "immutable-field",
    title: "field of an existing object may not change",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static FIELD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?P<field>[a-z]\w*(?:\.\w+)*): (?:Invalid value|Forbidden): (?P<value>.*?)(?:field is immutable|cannot change roleRef|may not change once set|updates to statefulset spec for fields other than)").ok());
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?P<kind>[A-Z]\w+)(?:\.\S+)? "(?P<name>[^"]+)" is invalid"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for message in evidence.read().failures() {
        let Some(found) = FIELD.as_ref().and_then(|form| form.captures(&message.text)) else { continue };
        if &found["field"] == "spec.selector" {
            continue;
        }
        let named = NAMED.as_ref().and_then(|form| form.captures(&message.text));
        let (kind, name) = named.map(|found| (found["kind"].to_owned(), found["name"].to_owned())).unwrap_or_default();
        let cause = format!("`{}` of the existing {kind} `{name}` can't be changed", &found["field"]);
        let finding = findings.proven(places::object(&kind, "", &name, &found["field"]), cause);
        finding.message(message);
        finding.fix(
            Fix::manual("leave it as it is, or delete the object and create it anew")
                .step(format!("kubectl replace --force -f FILE deletes and creates the {kind}")),
        );
    }
}
