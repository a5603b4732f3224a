//! What holds for every rule: codes, pages, examples, fixes.

use std::collections::BTreeSet;

use shipmate_doctor::page::{self, Shows};
use shipmate_doctor::{Applicability, Evidence, Item, Severity, examine, rules};

#[test]
fn codes_and_keys_are_unique_and_well_formed() {
    let mut seen = BTreeSet::new();
    for rule in rules::all() {
        assert!(seen.insert(rule.code) && seen.insert(rule.key), "{} {} stands twice", rule.code, rule.key);
        assert!(rule.code.len() == 6 && rule.code.starts_with("SM0"), "{}", rule.code);
        assert!(!rule.title.ends_with('.') && rule.title.len() <= 72, "{}: {}", rule.code, rule.title);
        let head = format!("# {}: {}\n", rule.code, rule.title);
        assert!(rule.page.starts_with(&head), "the page of {} must begin with `{head}`", rule.code);
        let mut from = 0;
        for section in page::SECTIONS {
            let at = rule.page[from..].find(section);
            from += at.unwrap_or_else(|| panic!("the page of {} has no `{section}` in its place", rule.code));
        }
    }
}

#[test]
fn every_page_shows_its_fault_and_health() {
    let mut wrong = Vec::new();
    for rule in rules::all() {
        let examples = page::examples(rule.page);
        let shown: BTreeSet<bool> = examples.iter().map(|(shows, _)| *shows == Shows::Fault).collect();
        if shown.len() != 2 {
            wrong.push(format!("{} {}: its page needs an example that fails and one that passes", rule.code, rule.key));
        }
        for (number, (shows, evidence)) in examples.iter().enumerate() {
            let report = examine(evidence);
            let first = report.findings.first().map(|finding| (finding.key, finding.severity));
            let right = match shows {
                Shows::Fault => first.is_some_and(|(key, _)| key == rule.key),
                Shows::Health => first.is_none_or(|(_, severity)| severity == Severity::Note),
            };
            if !right {
                wrong.push(format!("{} {}: example {}, {shows:?}: {first:?}", rule.code, rule.key, number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Applies a fix's edits.
fn mended(evidence: &Evidence, edits: &[shipmate_doctor::finding::Edit]) -> Evidence {
    let mut items: Vec<Item> = evidence.items().to_vec();
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.span.start));
    for edit in edits {
        items[edit.item].text.replace_range(edit.span, &edit.new);
    }
    // What was said before the fix no longer counts.
    items.retain(edits_apply_to);
    Evidence::new(items)
}

fn edits_apply_to(item: &Item) -> bool {
    use shipmate_doctor::ItemKind::{ContainerdConfig, HostsToml, Kubeconfig, Manifest};
    matches!(item.kind, ContainerdConfig | HostsToml | Kubeconfig | Manifest)
}

#[test]
fn a_safe_fix_takes_its_finding_away_and_brings_no_other() {
    for rule in rules::all() {
        for (_, evidence) in page::examples(rule.page) {
            let before: BTreeSet<&str> = examine(&evidence).findings.iter().map(|finding| finding.key).collect();
            for finding in examine(&evidence).findings {
                for fix in &finding.fixes {
                    if fix.applicability != Applicability::Safe || fix.edits.is_empty() {
                        continue;
                    }
                    let after = examine(&mended(&evidence, &fix.edits));
                    let same =
                        after.findings.iter().any(|other| other.key == finding.key && other.place == finding.place);
                    assert!(!same, "{}: still there after `{}`", finding.code, fix.title);
                    for other in &after.findings {
                        assert!(before.contains(other.key), "{}: `{}` brings {}", finding.code, fix.title, other.code);
                    }
                }
            }
        }
    }
}

#[test]
fn no_evidence_no_finding() {
    assert!(examine(&Evidence::default()).findings.is_empty());
}
