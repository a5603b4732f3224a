//! A pod asks a ConfigMap for a key that it does not have.

use super::absent;
use crate::finding::Severity;
use crate::rule::Rule;

pub const RULE: Rule = Rule {
    code: "SM0652",
    key: "configmap-key-missing",
    title: "config map lacks the key that a pod asks for",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check: |evidence, findings| absent::keys(evidence, findings, &absent::CONFIG_MAP),
};
