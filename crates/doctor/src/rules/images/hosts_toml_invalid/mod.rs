//! A `hosts.toml` that containerd can't use: it drops the whole file and asks the registry itself.

use std::ops::Range;

use toml_edit::{Item, TableLike};

use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::containerd::HostsToml;
use crate::read::registry::{is_plain_http, is_unknown_authority};
use crate::read::toml::Toml;
use crate::read::{Message, Pull, pulls, same_node};
use crate::rule::{Findings, Rule};
use crate::text::is_invisible;

pub const RULE: Rule = Rule {
    code: "SM0111",
    key: "hosts-toml-invalid",
    title: "hosts.toml that containerd can't use",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut explained: Vec<&str> = Vec::new();
    for file in &read.hosts {
        let Some(flaw) = flaw(evidence, file) else { continue };
        explained.push(&file.node);
        let place = Place::Text { item: file.item, span: flaw.span };
        let finding = findings.proven(place, flaw.cause);
        let messages = complaints(evidence, &file.node);
        messages.iter().for_each(|message| {
            finding.message(message);
        });
        explain(finding, evidence, file);
        let fix = flaw.fix.unwrap_or_else(|| Fix::manual("correct the file").step(format!("cat -A {}", file.path)));
        finding.weigh(1).fix(fix);
    }
    for message in complaints(evidence, "") {
        let blank = message.text.contains("unable to parse server");
        let known = explained.iter().any(|node| same_node(node, &message.node)) || blank || message.text.contains("U+000D");
        if !known {
            from_words(evidence, findings, message);
        }
    }
}

fn complaints<'a>(evidence: &'a Evidence, node: &str) -> Vec<&'a Message> {
    let words = evidence.read().failures().filter(|message| message.decodes_hosts());
    words.filter(|message| same_node(&message.node, node)).collect()
}

/// What a dropped file leads to: the upstream is asked as if there were no file.
fn explain(finding: &mut Finding, evidence: &Evidence, file: &HostsToml) {
    let read = evidence.read();
    pulls::explain(finding, &read.messages, &read.pulls_meant(&file.node, &file.directory));
}

fn from_words(evidence: &Evidence, findings: &mut Findings<'_>, message: &Message) {
    let read = evidence.read();
    let reason = message.text.rsplit_once("hosts.toml: ").map_or("", |(_, reason)| reason);
    let cause = match reason {
        "" => "a hosts.toml can't be used".to_owned(),
        reason => format!("a hosts.toml can't be used: {reason}"),
    };
    // containerd 2 tells which file.
    let told = message.text.split_once("failed to decode ").and_then(|(_, rest)| rest.split_once("hosts.toml"));
    let path = told.map(|(directory, _)| directory).filter(|directory| directory.starts_with('/'));
    let path = format!("{}hosts.toml", path.unwrap_or("/etc/containerd/certs.d/*/"));
    let place = Place::Machine { node: message.node.clone(), what: path.clone() };
    let finding = findings.proven(place, cause);
    finding.message(message);
    let told = |pull: &&Pull| is_plain_http(pull) || is_unknown_authority(&pull.text);
    let near = |pull: &&Pull| read.messages.get(pull.message).is_some_and(|one| one.item == message.item || one.node == message.node);
    let pulls: Vec<&Pull> = read.pulls.iter().filter(told).filter(near).collect();
    pulls::explain(finding, &read.messages, &pulls);
    let fix = Fix::manual("correct the file; containerd reads it anew at each pull")
        .step(format!("tail -n +1 {path}"));
    finding.weigh(1).fix(fix);
}

struct Flaw {
    span: Range<usize>,
    cause: String,
    fix: Option<Fix>,
}

fn flaw(evidence: &Evidence, file: &HostsToml) -> Option<Flaw> {
    let text = &evidence.items()[file.item].text;
    let toml = match &file.toml {
        Ok(toml) => toml,
        Err(refused) => {
            let line = text.lines().nth(refused.position.line.saturating_sub(1) as usize).unwrap_or_default();
            if line.trim_end_matches('\r').contains(|one| is_invisible(one) && one != '\t') {
                return None;
            }
            let reason = refused.message.lines().next().unwrap_or_default();
            let cause = format!("line {} is no TOML: {reason}", refused.position.line);
            return Some(Flaw { span: refused.span.clone(), cause, fix: None });
        }
    };
    capability(file, toml).or_else(|| wrong_type(toml)).or_else(|| no_hosts(evidence, file, toml)).or_else(|| no_pull(evidence, file))
}

const CAPABILITIES: [&str; 3] = ["pull", "resolve", "push"];

fn capability(file: &HostsToml, toml: &Toml) -> Option<Flaw> {
    let of_server = toml.strings(&["capabilities"]);
    let all = file.hosts().into_iter().flat_map(|host| host.capabilities).chain(of_server);
    let unknown = all.into_iter().find(|one| !CAPABILITIES.contains(&one.value.trim()) || one.value.trim() != one.value)?;
    let cause = format!("`{}` is no capability: there are pull, resolve and push", unknown.value);
    let wanted = CAPABILITIES.into_iter().find(|one| one.eq_ignore_ascii_case(unknown.value.trim()));
    let near = wanted.or_else(|| crate::near::nearest(&unknown.value, CAPABILITIES));
    let fix = near.map(|good| {
        Fix::safe(format!("write \"{good}\"")).edit(file.item, unknown.span.clone(), format!("\"{good}\""))
    });
    Some(Flaw { span: unknown.span.clone(), cause, fix })
}

fn wrong_type(toml: &Toml) -> Option<Flaw> {
    let mut tables: Vec<Vec<String>> = vec![Vec::new()];
    tables.extend(toml.keys(&["host"]).into_iter().map(|key| vec!["host".to_owned(), key.value]));
    for table in tables {
        for (name, fits, wanted) in FIELDS {
            let mut path: Vec<&str> = table.iter().map(String::as_str).collect();
            path.push(name);
            let Some(item) = toml.item(&path).filter(|item| !item.is_none()) else { continue };
            if !fits(item) {
                let span = item.span().or_else(|| toml.key(&path).map(|key| key.span))?;
                return Some(Flaw { span, cause: format!("`{name}` must be {wanted}"), fix: None });
            }
        }
    }
    let host = toml.item(&["host"]).filter(|item| item.as_table_like().is_none())?;
    let span = host.span().or_else(|| toml.key(&["host"]).map(|key| key.span))?;
    Some(Flaw { span, cause: "`host` must be a table with the URL as its key: `[host.\"https://…\"]`".to_owned(), fix: None })
}

type Fits = fn(&Item) -> bool;

const FIELDS: [(&str, Fits, &str); 6] = [
    ("capabilities", is_list, "a list of strings"),
    ("skip_verify", Item::is_bool, "true or false, without quotes"),
    ("override_path", Item::is_bool, "true or false, without quotes"),
    ("ca", |item| item.is_str() || is_list(item), "a path or a list of paths"),
    ("client", |item| item.is_str() || item.is_array(), "a path, a list of paths, or a list of pairs of paths"),
    ("server", Item::is_str, "a URL"),
];

fn is_list(item: &Item) -> bool {
    item.as_array().is_some_and(|list| list.iter().all(toml_edit::Value::is_str))
}

/// A file without a host table, where this containerd wants one or says that it misses it.
fn no_hosts(evidence: &Evidence, file: &HostsToml, toml: &Toml) -> Option<Flaw> {
    let read = evidence.read();
    let hosts = toml.item(&["host"]).and_then(Item::as_table_like).is_some_and(|table| !TableLike::is_empty(table));
    if hosts {
        return None;
    }
    let says = complaints(evidence, &file.node).iter().any(|message| message.text.contains("invalid `host` tree"));
    let old = read.version(&file.node, "containerd").is_some_and(|version| version.number < (1, 7));
    let fails = read.pulls_meant(&file.node, &file.directory).iter().any(|pull| {
        is_plain_http(pull) || is_unknown_authority(&pull.text)
    });
    let refused = says || (old && fails);
    if !refused {
        return None;
    }
    let keys = toml.keys(&[]);
    let misspelt = keys.iter().find(|key| crate::near::nearest(&key.value, ["host"]).is_some());
    if let Some(key) = misspelt {
        return Some(Flaw { span: key.span.clone(), cause: format!("the table is called `{}`, not `host`", key.value), fix: None });
    }
    let url = file.server().map_or_else(|| format!("https://{}", file.directory), |server| server.value);
    let fix = Fix::review("add a `[host]` table").step(format!("[host.\"{url}\"]")).step("  capabilities = [\"pull\", \"resolve\"]");
    let cause = "the file has no `[host.\"…\"]` table, and this containerd drops a file without one".to_owned();
    Some(Flaw { span: 0..0, cause, fix: Some(fix) })
}

/// Hosts that may not be asked for images: nothing of the file is used then.
fn no_pull(evidence: &Evidence, file: &HostsToml) -> Option<Flaw> {
    let hosts = file.hosts();
    let idle = hosts.iter().all(|host| {
        let has = |name: &str| host.capabilities.iter().any(|one| one.value == name);
        let may = host.capabilities.is_empty() || (has("pull") && has("resolve"));
        !may
    });
    let pulls = evidence.read().pulls_meant(&file.node, &file.directory);
    let fails = pulls.iter().any(|pull| is_plain_http(pull) || is_unknown_authority(&pull.text));
    let first = hosts.first().filter(|_| idle && fails)?.capabilities.first()?;
    let cause = "no host of the file may both resolve and pull, so none is asked".to_owned();
    Some(Flaw { span: first.span.clone(), cause, fix: None })
}
