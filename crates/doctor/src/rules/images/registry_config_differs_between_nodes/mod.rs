//! One node pulls an image, another does not: their registry settings differ.

use std::collections::BTreeSet;

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::{Entry, is_plain_http, is_tool, is_unknown_authority};
use crate::read::{Pull, pulls, same_node, table};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0125",
    key: "registry-config-differs-between-nodes",
    title: "registry settings differ between nodes",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let told = read.pulls.iter().filter(|pull| is_plain_http(pull) || is_unknown_authority(&pull.text));
    let told = told.filter(|pull| !is_tool(pull.speaker) && !pull.node.is_empty());
    let groups = pulls::grouped(told, |pull| (pull.node.clone(), registry_of(pull)));
    let nodes: BTreeSet<&str> = nodes(evidence);
    let workloads = workloads(evidence);
    for ((node, registry), pulls) in groups {
        let others: Vec<&str> = nodes.iter().copied().filter(|other| !same_node(other, &node)).collect();
        let here = read.registries(&node);
        let entry = here.entry(&registry);
        let better = others.iter().find_map(|other| Some((*other, read.registries(other).entry(&registry)?)));
        let works = running_elsewhere(&workloads, &node);
        match (better, &entry) {
            (Some((other, theirs)), None) if here.known() || here.listed => {
                let place = Place::Machine { node: node.clone(), what: missing(&theirs, &registry) };
                let cause = format!("`{other}` has settings for `{registry}`, `{node}` has none");
                let finding = findings.proven(place, cause);
                pulls::explain(finding, &read.messages, &pulls);
                finding.weigh(1).fix(copy(&theirs, &registry, other, &node));
            }
            (Some((other, theirs)), Some(ours)) if works.is_some() && differ(&theirs, ours) => {
                let place = match ours.urls().into_iter().next() {
                    Some((item, url)) => Place::Text { item, span: url.span },
                    None => Place::Machine { node: node.clone(), what: missing(&theirs, &registry) },
                };
                let finding = findings.proven(place, format!("the settings for `{registry}` on `{node}` are not those on `{other}`"));
                pulls::explain(finding, &read.messages, &pulls);
                finding.fix(copy(&theirs, &registry, other, &node));
            }
            (better, None) if !here.known() && (works.is_some() || better.is_some()) => {
                let other = works.map(str::to_owned).or_else(|| better.map(|(other, _)| other.to_owned())).unwrap_or_default();
                let place = Place::Machine { node: node.clone(), what: "/etc/containerd".to_owned() };
                let finding = findings.open(place, format!("`{other}` runs with images of `{registry}`, `{node}` can't pull them"));
                pulls::explain(finding, &read.messages, &pulls);
                let alone = if pulls.iter().any(|pull| is_plain_http(pull)) { "http-registry-not-declared" } else { "registry-ca-untrusted" };
                finding
                    .or(&[alone, "endpoint-surrounding-whitespace", "mirror-key-mismatch", "containerd-not-restarted"])
                    .needs(&[
                        "registry files of both nodes: /etc/containerd/config.toml and hosts.toml files of certs.d",
                        "ls -R /etc/containerd/certs.d on both nodes",
                        "crictl info of both nodes (registry settings)",
                    ])
                    .fix(Fix::manual("compare the registry settings of both nodes").step("tail -n +1 /etc/containerd/config.toml /etc/containerd/certs.d/*/hosts.toml"));
            }
            _ => {}
        }
    }
}

fn registry_of(pull: &Pull) -> String {
    if pull.registry().is_empty() { pull.asked.clone() } else { pull.registry().to_owned() }
}

/// Nodes whose registry settings are in the evidence.
fn nodes(evidence: &Evidence) -> BTreeSet<&str> {
    let read = evidence.read();
    let configs = read.configs.iter().map(|config| config.node.as_str());
    let hosts = read.hosts.iter().map(|file| file.node.as_str());
    let listed = read.directories.iter().map(|one| one.node.as_str());
    configs.chain(hosts).chain(listed).filter(|node| !node.is_empty()).collect()
}

/// Where the missing settings should be.
fn missing(theirs: &Entry<'_>, registry: &str) -> String {
    match theirs {
        Entry::Mirror(config, _) => config.path.clone(),
        Entry::Hosts(file) => format!("{}/{registry}", file.root()),
        Entry::Directory(directory) => format!("{}/{registry}", directory.root),
    }
}

fn differ(theirs: &Entry<'_>, ours: &Entry<'_>) -> bool {
    let urls = |entry: &Entry<'_>| -> Vec<String> { entry.urls().into_iter().map(|(_, url)| url.value).collect() };
    let trust = |entry: &Entry<'_>| match entry {
        Entry::Hosts(file) => file.hosts().iter().map(|host| (host.ca.len(), host.skip_verify)).collect(),
        _ => Vec::new(),
    };
    let known = |entry: &Entry<'_>| !matches!(entry, Entry::Directory(_));
    known(theirs) && known(ours) && (urls(theirs) != urls(ours) || trust(theirs) != trust(ours))
}

fn copy(theirs: &Entry<'_>, registry: &str, from: &str, to: &str) -> Fix {
    let fix = Fix::manual(format!("make the settings of `{to}` equal to those of `{from}`"));
    match theirs {
        Entry::Mirror(config, _) => fix.step(format!("diff <(ssh {from} cat {0}) <(ssh {to} cat {0})", config.path)).step("systemctl restart containerd"),
        _ => {
            let path = missing(theirs, registry);
            fix.step(format!("scp -r '{from}:{path}' '{to}:{path}'"))
        }
    }
}

/// Pods of a table: what they have in common, whether they run, where.
struct Placed {
    workload: String,
    runs: bool,
    node: String,
}

fn workloads(evidence: &Evidence) -> Vec<Placed> {
    let mut all = Vec::new();
    for item in evidence.items().iter().filter(|item| matches!(item.kind, ItemKind::KubectlOutput | ItemKind::Text)) {
        if !item.text.contains("NODE") || !item.text.contains("STATUS") {
            continue;
        }
        for row in table::columns(&item.text, "NAME") {
            let (status, node) = (row.get("STATUS"), row.get("NODE"));
            let name = if row.get("NAME").is_empty() { row.first() } else { row.get("NAME") };
            let stem: Vec<&str> = name.split('-').collect();
            let workload = stem[..stem.len().saturating_sub(1)].join("-");
            let runs = status == "Running" || status == "Completed";
            if !node.is_empty() && (runs || status.contains("Image") || status == "ContainerCreating") {
                all.push(Placed { workload, runs, node: node.to_owned() });
            }
        }
    }
    for pod in &evidence.read().pods {
        let waits = pod.containers.iter().any(|one| one.waiting.contains("Image"));
        let stem: Vec<&str> = pod.name.split('-').collect();
        let workload = stem[..stem.len().saturating_sub(1)].join("-");
        if !pod.node.is_empty() && (waits || pod.ready == Some(true)) {
            all.push(Placed { workload, runs: !waits, node: pod.node.clone() });
        }
    }
    all
}

/// Another node on which a pod of the same workload runs that fails here.
fn running_elsewhere<'a>(workloads: &'a [Placed], node: &str) -> Option<&'a str> {
    let failing: BTreeSet<&str> =
        workloads.iter().filter(|one| !one.runs && same_node(&one.node, node)).map(|one| one.workload.as_str()).collect();
    let good = workloads.iter().find(|one| one.runs && !same_node(&one.node, node) && failing.contains(one.workload.as_str()));
    good.map(|one| one.node.as_str())
}
