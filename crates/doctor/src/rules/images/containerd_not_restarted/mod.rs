//! containerd runs with an earlier configuration than the one on disk.

use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::registry::{Entry, is_plain_http, is_tool, is_unknown_authority};
use crate::read::times::{self, When};
use crate::read::{ContainerdConfig, Pull, Speaker, pulls, reference, same_node};
use crate::rule::{Findings, Rule};
use crate::text::{unquoted, visible};

pub const RULE: Rule = Rule {
    code: "SM0116",
    key: "containerd-not-restarted",
    title: "containerd runs with an earlier configuration",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for config in read.configs.iter().filter(|config| config.toml.is_ok()) {
        let reason = by_times(evidence, config).or_else(|| by_running(evidence, config)).or_else(|| by_words(evidence, config));
        let Some(reason) = reason else { continue };
        let place = Place::Machine { node: config.node.clone(), what: "containerd".to_owned() };
        let finding = findings.proven(place, reason.cause);
        for (item, line) in reason.quotes {
            finding.quote(item, line);
        }
        explain(evidence, finding, config);
        let fix = Fix::manual("restart containerd; running containers go on").step("systemctl restart containerd");
        finding.weigh(3).fix(fix);
    }
}

struct Reason {
    cause: String,
    quotes: Vec<(usize, u32)>,
}

/// Pulls that fail though the file on disk provides for them.
fn explain(evidence: &Evidence, finding: &mut Finding, config: &ContainerdConfig) {
    let read = evidence.read();
    let settings = read.registries(&config.node);
    let fits = |pull: &&Pull| {
        let here = same_node(&pull.node, &config.node) && !is_tool(pull.speaker);
        let told = is_plain_http(pull) || is_unknown_authority(&pull.text) || pull.says("endpoint url");
        here && (told || settings.entry(pull.registry()).is_some())
    };
    let pulls: Vec<&Pull> = read.pulls.iter().filter(fits).collect();
    if pulls.is_empty() {
        finding.severity(Severity::Warning);
    }
    pulls::explain(finding, &read.messages, &pulls);
}

static SHORT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"([A-Z][a-z]{2} +\d{1,2} \d\d:\d\d) +(?:\S+ +)?(/\S+)").ok());

/// The file is newer than the process.
fn by_times(evidence: &Evidence, config: &ContainerdConfig) -> Option<Reason> {
    let read = evidence.read();
    let units = read.facts.unit_of(&config.node, "containerd").filter_map(|unit| Some((unit.item, unit.line, unit.value.since?)));
    let processes = started(evidence, &config.node);
    let (item, line, since) = units.chain(processes).max_by_key(|(_, _, when)| when.seconds())?;
    let (file, file_line, changed) = modified(evidence, config, &since)?;
    let later = changed.after(&since);
    let ago = match later {
        0..60 => return None,
        60..7_200 => format!("{} minutes", later / 60),
        7_200..172_800 => format!("{} hours", later / 3_600),
        _ if later < 0 => return None,
        _ => format!("{} days", later / 86_400),
    };
    let cause = format!("`{}` was changed {ago} after containerd was started", config.path);
    Some(Reason { cause, quotes: vec![(file, file_line), (item, line)] })
}

/// When a process of containerd began, as its journal and `ps` tell.
fn started<'a>(evidence: &'a Evidence, node: &'a str) -> Vec<(usize, u32, When)> {
    let mut all = Vec::new();
    for (number, item) in evidence.items().iter().enumerate() {
        let here = same_node(item.origin.node().unwrap_or_default(), node);
        let journal = item.kind == ItemKind::ContainerdLog;
        let process = item.origin.source().contains("ps -") && item.origin.source().contains("containerd");
        if !here || !(journal || process) {
            continue;
        }
        for (index, line) in item.text.lines().enumerate() {
            let starts = line.contains("msg=\"starting containerd\"") || line.contains("containerd successfully booted");
            if (journal && starts) || (process && !line.contains("grep")) {
                let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
                all.extend(times::first(line).map(|when| (number, line_number, when)));
            }
        }
    }
    all
}

/// When the file was changed last: `stat`, `ls -l`, `find -printf`.
fn modified(evidence: &Evidence, config: &ContainerdConfig, since: &When) -> Option<(usize, u32, When)> {
    let name = config.path.as_str();
    let mut open = false;
    for (number, item) in evidence.items().iter().enumerate() {
        let here = same_node(item.origin.node().unwrap_or_default(), &config.node);
        if !here || !matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text) {
            continue;
        }
        let asked = item.origin.source().contains("stat") && item.origin.source().contains(name);
        for (index, line) in item.text.lines().enumerate() {
            let number_of_line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            if line.trim_start().starts_with("File:") {
                open = line.contains(name);
            }
            let alone = asked && line.len() < 40 && line.starts_with(|one: char| one.is_ascii_digit());
            let told = line.contains(name) || (open && line.trim_start().starts_with("Modify:")) || alone;
            if !told || line.contains("level=") {
                continue;
            }
            let short = || {
                let found = SHORT.as_ref()?.captures(line)?;
                times::first(&format!("{}:00 {}", &found[1], since.local.year()))
            };
            if let Some(when) = times::first(line).or_else(short) {
                return Some((number, number_of_line, when));
            }
        }
    }
    None
}

/// `crictl info` shows other registries than the file.
fn by_running(evidence: &Evidence, config: &ContainerdConfig) -> Option<Reason> {
    let read = evidence.read();
    let running = read.running.iter().find(|one| same_node(&one.node, &config.node))?;
    let path = config.config_path().map(|found| found.value).unwrap_or_default();
    let mirrors = config.mirrors();
    let endpoints = |key: &str| running.mirrors.iter().find(|(known, _)| known == key).map(|(_, endpoints)| endpoints);
    let differs = mirrors.iter().find(|mirror| {
        let written: Vec<&String> = mirror.endpoints.iter().map(|url| &url.value).collect();
        endpoints(&mirror.key.value).is_none_or(|running| running.iter().collect::<Vec<_>>() != written)
    });
    // Settings under a name that containerd ignores are not there after a restart either.
    if crate::read::registry::misplaced(config) {
        return None;
    }
    let cause = match differs {
        Some(mirror) if path.is_empty() => {
            format!("containerd runs without the mirror `{}` that the file has", visible(&mirror.key.value))
        }
        _ if !path.is_empty() && running.config_path != path => {
            format!("containerd runs with the `config_path` \"{}\", the file has \"{}\"", running.config_path, visible(&path))
        }
        _ => return None,
    };
    Some(Reason { cause, quotes: vec![(running.item, 1)] })
}

/// The words quote an endpoint that the file does not have.
fn by_words(evidence: &Evidence, config: &ContainerdConfig) -> Option<Reason> {
    let read = evidence.read();
    let endpoints: Vec<String> =
        config.mirrors().into_iter().flat_map(|mirror| mirror.endpoints).map(|url| url.value).collect();
    let here = |pull: &&Pull| {
        same_node(&pull.node, &config.node) && matches!(pull.speaker, Speaker::Containerd | Speaker::Event | Speaker::Kubelet | Speaker::Crictl | Speaker::Status)
    };
    let own_node = read.configs.iter().filter(|one| one.node != config.node).all(|one| one.item == config.item);
    for pull in read.pulls.iter().filter(here) {
        let told = pull.text.split_once("endpoint url: parse \"").and_then(|(_, rest)| rest.split('"').next());
        let Some(url) = told.filter(|_| own_node || !pull.node.is_empty()).map(unquoted) else { continue };
        let known = endpoints.contains(&url);
        let entry = read.registries(&config.node).entry(pull.registry());
        let mended = matches!(&entry, Some(Entry::Mirror(_, mirror)) if mirror.endpoints.iter().any(|one| reference::authority(&one.value) == reference::authority(url.trim())));
        if !known && mended {
            let message = read.messages.get(pull.message)?;
            let cause = format!("containerd uses the endpoint \"{}\", which the file no longer has", visible(&url));
            return Some(Reason { cause, quotes: vec![(message.item, message.line)] });
        }
    }
    None
}
