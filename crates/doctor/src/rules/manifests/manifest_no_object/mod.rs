//! A document without kind or apiVersion, or a file of another tool.

use super::places;
use super::removed::{self, Reason};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0554",
    key: "manifest-no-object",
    title: "manifest is no object of the API",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for file in &read.manifests {
        for document in &file.documents {
            let (kind, version) = (document.top("kind"), document.top("apiVersion"));
            let start = document.root.span.start;
            let missing = match (kind, version) {
                ("", "") => "`kind` and `apiVersion`",
                ("", _) => "`kind`",
                (_, "") => "`apiVersion`",
                _ => continue,
            };
            let finding = findings.proven(places::text(file.item, &(start..start)), format!("a document of {} has no {missing}", file.file));
            for message in read.failures().filter(|message| message.text.contains("is missing in") || message.text.contains("not set")) {
                finding.message(message);
            }
            finding.fix(match removed::served(kind).first() {
                Some(other) => Fix::review(format!("add `apiVersion: {other}`")).edit(file.item, start..start, format!("apiVersion: {other}\n")),
                None => Fix::manual("add what is missing, or leave the file out: values of Helm and files of Kustomize are not applied"),
            });
        }
    }
    for message in read.failures() {
        for no_match in removed::no_matches(&message.text) {
            let Reason::Tool(tool) = removed::reason(&no_match.version, &no_match.kind) else { continue };
            let cause = format!("the {} is a file for `{tool}`, not an object of the API", no_match.kind);
            let finding = findings.proven(places::object(&no_match.kind, "", &no_match.name, ""), cause);
            finding.message(message);
            finding.fix(Fix::manual(format!("give it to `{tool}`")));
        }
        let unset = message.text.contains("Object 'Kind' is missing in") || message.text.contains("apiVersion not set") || message.text.contains("kind not set");
        if unset && read.manifests.is_empty() {
            let finding = findings.proven(places::object("", "", "", "kind"), "a document has no `kind` or `apiVersion`");
            finding.message(message);
            finding.fix(Fix::manual("add what is missing, or leave the file out: values of Helm and files of Kustomize are not applied"));
        }
    }
}
