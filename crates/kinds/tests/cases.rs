//! Runs the cases of `cases/*.md`: what is given, and what becomes of it.
//!
//! A case is a heading `## …` and fenced blocks that say what they are:
//! `yaml given` is an object, `yaml old` the one that it replaces, `text created` what preparing and defaulting add
//! on create, `text defaults` what defaulting alone adds, `text errors` what validation reports (`-` for nothing),
//! and `text row` the table with `now` an hour after 2026-01-01T00:00:00Z.
//!
//! What controllers decide (`cases/plan.md`) is checked by `plans.rs`.
//!
//! With `BLESS` in the environment the `text` blocks are rewritten to what came out, to be read before a commit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use api::{Catalogue, FieldErrors, Kind, Object, Row};
use serde_json::Value;

#[derive(Default)]
struct Case {
    name: String,
    blocks: Vec<(String, String)>,
}

impl Case {
    fn block(&self, info: &str) -> Option<&str> {
        self.blocks.iter().find(|(name, _)| name == info).map(|(_, text)| text.as_str())
    }

    fn object(&self, info: &str) -> Option<Value> {
        let text = self.block(info)?;
        Some(serde_saphyr::from_str(text).unwrap_or_else(|why| panic!("{}: {why}\n{text}", self.name)))
    }
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line) {
            (Some(_), "```") => cases.last_mut().unwrap().blocks.push(open.take().unwrap()),
            (Some((_, block)), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, line) => {
                if let Some(name) = line.strip_prefix("## ") {
                    cases.push(Case { name: name.to_owned(), ..Case::default() });
                } else if let Some(info) = line.strip_prefix("```") {
                    open = Some((info.to_owned(), String::new()));
                }
            }
        }
    }
    cases
}

/// The leaves of a value with their paths.
fn leaves(value: &Value, path: String, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, child) in fields {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                leaves(child, path, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, child) in items.iter().enumerate() {
                leaves(child, format!("{path}[{index}]"), into);
            }
        }
        leaf => into.push((path, leaf.clone())),
    }
}

/// What `after` has and `before` has not, and the other way round with a minus.
fn difference(before: &Value, after: &Value) -> String {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    leaves(before, String::new(), &mut old);
    leaves(after, String::new(), &mut new);
    let gone = old.iter().filter(|leaf| !new.contains(leaf)).map(|(path, value)| format!("- {path}: {value}\n"));
    let added = new.iter().filter(|leaf| !old.contains(leaf)).map(|(path, value)| format!("{path}: {value}\n"));
    gone.chain(added).collect()
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn run(kind: &Kind, case: &Case) -> Vec<(&'static str, String)> {
    let given = case.object("yaml given").unwrap();
    let old = case.object("yaml old").map(|mut old| {
        kind.prepare(&mut old, None);
        kind.fill_defaults(&mut old);
        old
    });
    let mut defaulted = given.clone();
    kind.fill_defaults(&mut defaulted);
    let mut written = given.clone();
    // As at the door: the status of an update is the old one.
    if let Some(old) = old.as_ref().filter(|old| kind.status && given["status"].is_null() && !old["status"].is_null()) {
        written["status"] = old["status"].clone();
    }
    kind.prepare(&mut written, old.as_ref());
    kind.fill_defaults(&mut written);
    let mut errors = FieldErrors::default();
    let sealed = old.map(|old| Object::seal(kind, old, 1));
    kind.validate(&written, sealed.as_ref(), &mut errors).unwrap_or_else(|why| panic!("{}: {why}", case.name));
    let errors: String = errors.0.iter().map(|error| format!("{error}\n")).collect();
    let heads: Vec<&str> = kind.column_heads().iter().map(|head| head.name).collect();
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    let cells = kind.cells(&Object::seal(kind, defaulted.clone(), 2), Row { now });
    let cells: Vec<String> = cells.iter().map(cell).collect();
    vec![
        ("text defaults", difference(&given, &defaulted)),
        ("text created", difference(&given, &written)),
        ("text errors", if errors.is_empty() { "-\n".to_owned() } else { errors }),
        ("text row", format!("{}\n{}\n", heads.join(" | "), cells.join(" | "))),
    ]
}

fn check_file(catalogue: &Catalogue, path: &Path, n_cases: &mut usize) {
    let mut text = fs::read_to_string(path).unwrap();
    let bless = std::env::var_os("BLESS").is_some();
    for case in parse(&text.clone()) {
        let given = case.object("yaml given").unwrap_or_else(|| panic!("{}: nothing is given", case.name));
        let group = given["apiVersion"].as_str().unwrap().rsplit_once('/').map_or("", |(group, _)| group);
        let kind = catalogue.by_kind(group, given["kind"].as_str().unwrap()).unwrap();
        let mut checked = 0;
        for (block, actual) in run(kind, &case) {
            if let Some(wanted) = case.block(block) {
                checked += 1;
                if bless {
                    let start = text.find(&format!("## {}\n", case.name)).unwrap();
                    let old = format!("```{block}\n{wanted}```");
                    text.replace_range(start.., &text[start..].replacen(&old, &format!("```{block}\n{actual}```"), 1));
                    continue;
                }
                assert_eq!(actual.trim_end(), wanted.trim_end(), "{}: {} ({block})", path.display(), case.name);
            }
        }
        let known = case.blocks.iter().filter(|(info, _)| info.starts_with("text ")).count();
        assert!(checked > 0 && checked == known, "{}: {} has blocks that are not known", path.display(), case.name);
        *n_cases += 1;
    }
    if bless {
        fs::write(path, text).unwrap();
    }
}

fn walk(catalogue: &Catalogue, folder: &Path, n_cases: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(catalogue, &path, n_cases);
        } else if path.extension().is_some_and(|end| end == "md") && !path.ends_with("cases/plan.md") {
            check_file(catalogue, &path, n_cases);
        }
    }
}

#[test]
fn every_case_comes_out_as_it_says() {
    let mut n_cases = 0;
    walk(&kinds::catalogue(), &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut n_cases);
    assert!(n_cases >= 40, "only {n_cases} cases were found");
}
