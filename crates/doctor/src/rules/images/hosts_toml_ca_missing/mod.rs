//! A CA file (or client certificate) named for a registry that can't be opened.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::toml::Spanned;
use crate::read::{Pull, pulls, same_node};
use crate::rule::{Findings, Rule};
use crate::text::{is_invisible, visible};

pub const RULE: Rule = Rule {
    code: "SM0112",
    key: "hosts-toml-ca-missing",
    title: "CA file of a registry can't be opened",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// A path that a node's files name.
struct Named {
    item: usize,
    node: String,
    registry: String,
    value: Spanned<String>,
    restart: bool,
}

fn named(evidence: &Evidence) -> Vec<Named> {
    let read = evidence.read();
    let mut all = Vec::new();
    for file in &read.hosts {
        for value in file.hosts().into_iter().flat_map(|host| host.ca).chain(file.server_ca()) {
            let (node, registry) = (file.node.clone(), file.directory.clone());
            all.push(Named { item: file.item, node, registry, value, restart: false });
        }
    }
    for config in &read.configs {
        for settings in config.host_settings() {
            let Some(value) = settings.ca else { continue };
            let (node, registry) = (config.node.clone(), settings.key.value);
            all.push(Named { item: config.item, node, registry, value, restart: true });
        }
    }
    all
}

/// The path that the words say can't be opened.
fn refused(pull: &Pull) -> Option<&str> {
    const BEFORE: [&str; 4] = ["unable to read CA cert \"", "unable to read client cert \"", "unable to read client key \"", "unable to read CA key \""];
    let quoted = BEFORE.iter().find_map(|before| pull.text.split_once(before)?.1.split('"').next());
    let load = || pull.text.split_once("failed to load CA file: open ").and_then(|(_, rest)| rest.rsplit_once(": "));
    quoted.or_else(|| load().map(|(path, _)| path))
}

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let names = named(evidence);
    let told = pulls::grouped(read.pulls.iter().filter(|pull| refused(pull).is_some()), |pull| {
        (pull.node.clone(), refused(pull).unwrap_or_default().to_owned())
    });
    for ((node, path), pulls) in &told {
        let named = names.iter().find(|one| one.value.value == *path && same_node(&one.node, node));
        report(evidence, findings, node, path, named, pulls);
    }
    for one in &names {
        let path = &one.value.value;
        let known = told.keys().any(|(node, said)| said == path && same_node(node, &one.node));
        let blank = path.trim() != path || path.contains(is_invisible);
        if !known && path.starts_with('/') && (blank || read.facts.is_absent(&one.node, path)) {
            let pulls = read.pulls_meant(&one.node, &one.registry);
            report(evidence, findings, &one.node, path, Some(one), &pulls);
        }
    }
}

fn report(evidence: &Evidence, findings: &mut Findings<'_>, node: &str, path: &str, named: Option<&Named>, pulls: &[&Pull]) {
    let stray = |one: char| one.is_whitespace() || is_invisible(one);
    let place = match named {
        Some(one) => {
            let text = &evidence.items()[one.item].text;
            let span = one.value.run(text, stray).unwrap_or_else(|| one.value.inside(text));
            Place::Text { item: one.item, span }
        }
        None => Place::Machine { node: node.to_owned(), what: visible(path) },
    };
    let cause = format!("the CA file \"{}\" can't be opened", visible(path));
    let finding = findings.proven(place.clone(), cause);
    pulls::explain(finding, &evidence.read().messages, pulls);
    if !path.starts_with('/') {
        finding.note("the path is relative; containerd looks for it beside the hosts.toml, or where it was started");
    }
    let fix = match (named, place) {
        (Some(one), Place::Text { item, span }) if path.contains(stray) => {
            let fix = Fix::safe("delete the blank").edit(item, span, "");
            if one.restart { fix.restart("containerd") } else { fix }
        }
        _ => Fix::manual("put the file there, or name the one that is").step(format!("ls -l '{}'", visible(path))),
    };
    finding.weigh(2).fix(fix);
}
