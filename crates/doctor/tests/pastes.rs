//! Labelled cases as people would paste them are diagnosed as they are from a bundle.

use shipmate_doctor::{Evidence, examine, paste, redact};

/// The evidence as a terminal would show it.
fn pasted(evidence: &Evidence) -> String {
    let mut text = String::new();
    for item in evidence.items() {
        let origin = &item.origin;
        let command = origin.path().map_or_else(|| origin.source().to_owned(), |path| format!("cat {path}"));
        let prompt = origin.node().map_or("$".to_owned(), |node| format!("root@{node}:~#"));
        text.push_str(&format!("{prompt} {command}\n{}\n", item.text.trim_end()));
    }
    text
}

#[test]
fn pasted_cases_are_diagnosed_as_bundles_are() {
    let cases = include_str!("cases-open.jsonl");
    let mut wrong = Vec::new();
    for case in cases.lines() {
        let evidence = Evidence::from_json(case).unwrap();
        let first = |evidence: &Evidence| examine(evidence).findings.first().map(|finding| finding.key);
        let (as_bundle, as_paste) = (first(&evidence), first(&Evidence::new(paste::split(&pasted(&evidence)))));
        if as_bundle != as_paste {
            wrong.push(format!("{as_bundle:?} as a bundle, {as_paste:?} as a paste: {}", &case[..60]));
        }
    }
    // Some facts can't be told from a tool's output when several commands stand in one line.
    assert!(wrong.len() <= 3, "{}", wrong.join("\n"));
}

#[test]
fn redaction_takes_nothing_that_a_diagnosis_needs() {
    for case in include_str!("cases-open.jsonl").lines() {
        let (plain, redacted) =
            (Evidence::from_json(case).unwrap(), redact::evidence(Evidence::from_json(case).unwrap()));
        let keys =
            |evidence: &Evidence| examine(evidence).findings.iter().map(|finding| finding.key).collect::<Vec<_>>();
        assert_eq!(keys(&plain), keys(&redacted), "{}", &case[..60]);
    }
}
