//! A name with capitals, underscores, or a dot or dash at an end.

use std::sync::LazyLock;

use regex::Regex;

use super::{judged, places};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Message;
use crate::read::manifest::Document;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0508",
    key: "invalid-object-name",
    title: "name of an object is not allowed",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:(?P<kind>[A-Z]\w+)(?:\.\S+)? "[^"]*" is invalid.*?)?(?P<field>[\w.\[\]]*[nN]ame): Invalid value: "(?P<name>[^"]*)": (?:a |must be )?.*?(?:RFC 1123|RFC-1123|DNS-1123|DNS-1035|RFC 1035|DNS label|must be no more than)"#).ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut told: Vec<String> = Vec::new();
    for file in &evidence.read().manifests {
        for document in &file.documents {
            let (group, _) = document.group_version();
            let name = document.name();
            if name.is_empty() || judged::name_faults(group, document.top("kind"), name).is_empty() {
                continue;
            }
            told.push(name.to_owned());
            of_document(evidence, file.item, document, findings);
        }
    }
    for message in evidence.read().failures() {
        let Some((_, rest)) = message.text.split_once("release name \"") else { continue };
        let name = rest.split('"').next().unwrap_or_default();
        if message.text.contains("must match regex") || message.text.contains("invalid release name") {
            let cause = format!("the release name `{name}` is not allowed: {}", wrong(name));
            findings.proven(places::object("", "", name, ""), cause).message(message).fix(remedy(name, false));
        }
    }
    for message in complaints(evidence) {
        let Some(found) = NAME.as_ref().and_then(|form| form.captures(&message.text)) else { continue };
        let name = &found["name"];
        if told.iter().any(|known| known == name) {
            continue;
        }
        told.push(name.to_owned());
        let kind = found.name("kind").map(|kind| kind.as_str()).unwrap_or_default();
        let made = found["field"].ends_with("generateName");
        let cause = format!("the {}name `{name}` is not allowed: {}", if made { "generated " } else { "" }, wrong(name));
        let finding = findings.proven(places::object(kind, "", name, &found["field"]), cause);
        finding.message(message);
        finding.fix(remedy(name, made));
    }
}

fn complaints(evidence: &Evidence) -> impl Iterator<Item = &Message> {
    evidence.read().failures().filter(|message| message.text.contains("Invalid value") && message.text.contains("ame: "))
}

fn of_document(evidence: &Evidence, item: usize, document: &Document, findings: &mut Findings<'_>) {
    let Some((_, value)) = document.root.find("metadata.name") else { return };
    let name = document.name();
    let plain = value.span.len() == name.len();
    let start = value.span.start + if plain { first_wrong(name) } else { 0 };
    let cause = format!("the name `{name}` of the {} is not allowed: {}", document.top("kind"), wrong(name));
    let finding = findings.proven(places::text(item, &(start..value.span.end)), cause);
    for message in complaints(evidence).filter(|message| message.text.contains(name)) {
        finding.message(message);
    }
    finding.fix(match proposed(name) {
        Some(new) => Fix::review(format!("call it `{new}`; whatever refers to it must follow")).edit(item, value.span.clone(), new),
        None => remedy(name, false),
    });
}

/// Offset of the first character that may not stand where it does.
fn first_wrong(name: &str) -> usize {
    let good = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let inside = |character: char| good(character) || character == '-' || character == '.';
    let mut before = '.';
    for (at, character) in name.char_indices() {
        if !inside(character) || before == '.' && !good(character) || before == '-' && character == '.' {
            return at;
        }
        before = character;
    }
    name.len().saturating_sub(1)
}

/// What is wrong, for people.
fn wrong(name: &str) -> String {
    if name.len() > 253 {
        return "it is too long".to_owned();
    }
    match name[first_wrong(name)..].chars().next() {
        Some(capital) if capital.is_uppercase() => format!("`{capital}` is a capital letter"),
        Some('.') if name.contains(".-") || name.contains("-.") => "a dot stands beside a dash".to_owned(),
        Some('-') if name.contains(".-") => "a dash stands behind a dot".to_owned(),
        Some(end @ ('-' | '.')) => format!("`{end}` may not stand there"),
        Some(other) => format!("`{}` may not be in it", crate::text::visible(&other.to_string())),
        None => "it is empty".to_owned(),
    }
}

/// A name that is allowed and looks the same.
fn proposed(name: &str) -> Option<String> {
    let new: String = name.to_lowercase().replace(['_', ' '], "-");
    let new = new.trim_matches(['-', '.']).to_owned();
    let good = !new.is_empty() && new.len() < 64 && api::names::dns_subdomain(&new).is_empty();
    good.then_some(new)
}

fn remedy(name: &str, made: bool) -> Fix {
    if made {
        return Fix::manual("shorten the name that it is made from, so that it is not cut off behind a dot or dash");
    }
    match proposed(name) {
        Some(new) => Fix::manual(format!("call it `{new}`")),
        None => Fix::manual("use small letters, digits and dashes, with a letter or digit at both ends"),
    }
}
