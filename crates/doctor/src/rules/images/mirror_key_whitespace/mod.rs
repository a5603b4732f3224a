//! A blank or tab inside the quotes of a registry's name: a key of the mirrors table, or a directory of `certs.d`.

use super::names;
use crate::finding::Severity;
use crate::rule::Rule;

pub const RULE: Rule = Rule {
    code: "SM0107",
    key: "mirror-key-whitespace",
    title: "blank in the name of a registry's table or directory",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check: |evidence, findings| names::report(evidence, findings, "blank", is_blank),
};

fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}
