//! A pod mounts or reads a ConfigMap that does not exist.

use super::absent;
use crate::finding::Severity;
use crate::rule::Rule;

pub const RULE: Rule = Rule {
    code: "SM0608",
    key: "configmap-missing",
    title: "config map that a pod uses does not exist",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check: |evidence, findings| absent::objects(evidence, findings, &absent::CONFIG_MAP),
};
