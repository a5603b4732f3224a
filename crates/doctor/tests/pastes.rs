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

/// What terminals, browsers, chats and editors make of a text.
fn mangled(text: &str) -> Vec<(&'static str, String)> {
    let each = |change: &dyn Fn(&str) -> String| text.lines().map(|line| change(line) + "\n").collect::<String>();
    vec![
        ("as it was", text.to_owned()),
        ("Windows line ends", text.replace('\n', "\r\n")),
        (
            "colours",
            text.replace("Warning", "\u{1b}[33mWarning\u{1b}[0m").replace("Failed to", "\u{1b}[1;31mFailed\u{1b}[m to"),
        ),
        ("quoted mail", each(&|line| format!("> {line}"))),
        ("indented", each(&|line| format!("    {line}"))),
        ("fenced", format!("please help:\n\n```\n{text}```\n")),
        ("HTML", format!("<pre>{}</pre>", text.replace('>', "&gt;").replace('"', "&quot;"))),
        ("no-break spaces", text.replace("  ", "\u{a0}\u{a0}")),
        (
            "tabs",
            each(&|line| {
                line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("\t")
            }),
        ),
        ("squeezed blanks", each(&|line| line.split_whitespace().collect::<Vec<_>>().join(" "))),
        ("an editor's quotes", text.replace('"', "\u{201d}")),
        ("one JSON string", text.replace('"', "\\\"").replace('\n', "\\n")),
        ("without its head", text.lines().skip(3).map(|line| format!("{line}\n")).collect()),
        (
            "cut at 80 columns",
            each(&|line| line.as_bytes().chunks(80).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n")),
        ),
    ]
}

#[test]
fn mangled_pastes_are_understood() {
    let events = "Events:\n  Type     Reason     Age                From     Message\n  ----     ------     ----               ----     -------\n  Warning  Failed     39s (x5 over 19m)  kubelet  Failed to pull image \"hub.sample.org/a/b:1\": rpc error: code = Unknown desc = failed to pull and unpack image \"hub.sample.org/a/b:1\": failed to resolve reference \"hub.sample.org/a/b:1\": failed to do request: Head \"https://hub.sample.org/v2/a/b/manifests/1\": dial tcp 198.51.100.7:443: connect: connection refused\n";
    for (how, text) in mangled(events) {
        let text = paste::cleaned(&text);
        let first = |text: &str| {
            let evidence = redact::evidence(Evidence::new(paste::split(text)));
            examine(&evidence).findings.first().map(|finding| finding.key)
        };
        let found = first(&text).or_else(|| first(&paste::joined(&text)?));
        assert_eq!(found, Some("registry-unreachable"), "{how}:\n{text}");
    }
}
