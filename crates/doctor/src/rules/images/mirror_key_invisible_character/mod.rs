//! A character that can't be seen in the name of a registry: a key of the mirrors table, or a directory of `certs.d`.

use super::names;
use crate::finding::Severity;
use crate::rule::Rule;
use crate::text::is_invisible;

pub const RULE: Rule = Rule {
    code: "SM0108",
    key: "mirror-key-invisible-character",
    title: "invisible character in the name of a registry's table or directory",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check: |evidence, findings| names::report(evidence, findings, "invisible character", is_hidden),
};

fn is_hidden(character: char) -> bool {
    is_invisible(character) && character != '\t'
}
