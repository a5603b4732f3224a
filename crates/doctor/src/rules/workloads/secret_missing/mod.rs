//! A pod mounts or reads a secret that does not exist.

use super::absent;
use crate::finding::Severity;
use crate::rule::Rule;

pub const RULE: Rule = Rule {
    code: "SM0606",
    key: "secret-missing",
    title: "secret that a pod uses does not exist",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check: |evidence, findings| absent::objects(evidence, findings, &absent::SECRET),
};
