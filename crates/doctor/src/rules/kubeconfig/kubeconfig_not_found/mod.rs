//! No kubeconfig that this user's kubectl finds: it asks `localhost:8080` instead.

use super::client;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;
use crate::near;

pub const RULE: Rule = Rule {
    code: "SM0401",
    key: "kubeconfig-not-found",
    title: "kubectl finds no usable kubeconfig",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    directory(evidence, findings);
    let named = named_file(evidence, findings);
    let messages: Vec<&Message> = client::at_localhost(evidence).collect();
    if named || messages.is_empty() || !client::lost_contexts(evidence).0.is_empty() {
        return;
    }
    let home = Place::Machine { node: node(&messages), what: "~/.kube/config".to_owned() };
    let fix = Fix::manual("give this user a kubeconfig")
        .step("mkdir -p ~/.kube")
        .step("sudo cp /etc/kubernetes/admin.conf ~/.kube/config && sudo chown $(id -u):$(id -g) ~/.kube/config")
        .step("or: export KUBECONFIG=FILE");
    let finding = if let Some((item, path, near)) = wrong_variable(evidence) {
        let place = Place::Machine { node: node(&messages), what: "environment variable KUBECONFIG".to_owned() };
        let finding = findings.proven(place, format!("KUBECONFIG names {path}, which does not exist"));
        finding.quote_word(evidence, item, &path);
        if let Some(near) = near {
            finding.note(format!("there is a file `{near}` beside it"));
            let (directory, _) = path.rsplit_once('/').unwrap_or(("~/.kube", ""));
            finding.fix(Fix::manual("name the file that is there").step(format!("export KUBECONFIG={directory}/{near}")));
        }
        finding
    } else if let Some((item, line)) = no_file(evidence) {
        findings.proven(home, "this user has no kubeconfig").quote(item, line)
    } else if let Some(item) = empty_view(evidence) {
        findings.proven(home, "the configuration that kubectl sees is empty").quote(item, 1)
    } else if evidence.items().iter().any(|item| item.origin.source().starts_with("sudo ")) {
        findings.likely(home, "with sudo kubectl looks for the kubeconfig of root, not of the user")
    } else if let Some(item) = looked(evidence) {
        findings.likely(home, "kubectl of this user finds no kubeconfig").quote(item, 1)
    } else {
        let finding = findings.open(home, "kubectl finds no server in its configuration and asks localhost:8080");
        finding.or(&["kubeconfig-context-cluster-mismatch"]).needs(&[
            "id (which user runs kubectl)",
            "echo $KUBECONFIG",
            "ls -l ~/.kube/config",
            "kubectl config view (context and cluster)",
        ])
    };
    for message in messages {
        finding.message(message);
    }
    finding.fix(fix);
}

fn node(messages: &[&Message]) -> String {
    messages.first().map(|message| message.node.clone()).unwrap_or_default()
}

/// A directory that was named in a file's place.
fn directory(evidence: &Evidence, findings: &mut Findings<'_>) {
    for message in client::said(evidence, &["loading config file", "is a directory"]) {
        let path = message.quoted_after("config file").unwrap_or("the path").to_owned();
        let place = Place::Machine { node: message.node.clone(), what: "environment variable KUBECONFIG".to_owned() };
        let finding = findings.proven(place, format!("{path} is a directory, where kubectl wants a file"));
        finding.message(message);
        finding.fix(Fix::manual("name the file in it").step(format!("ls -l {path}")).step(format!("export KUBECONFIG={path}/FILE")));
    }
}

/// A file that was named and is not there: `--kubeconfig`, a warning of the loader.
fn named_file(evidence: &Evidence, findings: &mut Findings<'_>) -> bool {
    let mut found = false;
    for message in client::said(evidence, &[]) {
        let text = &message.text;
        let missing = text.contains("no such file or directory") && (text.contains("stat ") || text.contains("open "));
        let about = ["kubeconfig", ".kube", "config file", "admin.conf", "k3s.yaml", "error: stat"];
        let path = match text.split_once("Config not found: ") {
            Some((_, path)) => path,
            None if missing && about.iter().any(|word| text.contains(word)) && !text.starts_with("ls") => {
                let from = text.split_once("stat ").or_else(|| text.split_once("open "));
                from.and_then(|(_, rest)| rest.split(": ").next()).unwrap_or_default()
            }
            None => continue,
        };
        let path = path.trim().trim_matches('"');
        if !path.contains(['/', '.']) {
            continue;
        }
        let place = Place::Machine { node: message.node.clone(), what: path.to_owned() };
        let finding = findings.proven(place, format!("the kubeconfig {path} does not exist"));
        finding.message(message);
        for symptom in client::at_localhost(evidence) {
            finding.message(symptom);
        }
        finding.fix(Fix::manual("name a file that is there").step("ls -l ~/.kube; echo $KUBECONFIG"));
        found = true;
    }
    found
}

/// Files that `KUBECONFIG` names although nothing of that name was listed; and a listed name that is like it.
fn wrong_variable(evidence: &Evidence) -> Option<(usize, String, Option<&str>)> {
    evidence.of(ItemKind::NodeFacts).find_map(|(number, item)| {
        let asked = item.origin.source().contains("KUBECONFIG");
        let path = item.text.lines().find_map(|line| {
            let named = line.split_once("KUBECONFIG=").map(|(_, rest)| rest);
            let alone = Some(line).filter(|line| asked && line.starts_with(['/', '~']) && !line.contains(' '));
            named.or(alone).map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
        })?;
        let path = path.split(':').next().unwrap_or_default().to_owned();
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let facts = &evidence.read().facts;
        let absent = facts.absent.iter().any(|one| one.value == path);
        let listed: Vec<&str> = evidence
            .of(ItemKind::NodeFacts)
            .filter(|(_, other)| other.origin.source().contains("ls") || other.text.contains("-rw"))
            .flat_map(|(_, other)| other.text.lines().filter(|line| line.trim() != path && !line.contains("KUBECONFIG=")))
            .flat_map(str::split_whitespace)
            .collect();
        let there = listed.iter().any(|word| *word == name || *word == path);
        if name.is_empty() || there || (listed.is_empty() && !absent) {
            return None;
        }
        Some((number, path, near::nearest(&name, listed)))
    })
}

/// A line that says that there is no `~/.kube/config`.
fn no_file(evidence: &Evidence) -> Option<(usize, u32)> {
    evidence.items().iter().enumerate().find_map(|(number, item)| {
        let line = item.text.lines().position(|line| {
            line.contains("No such file") && (line.contains(".kube") || line.contains("admin.conf"))
        })?;
        Some((number, u32::try_from(line + 1).unwrap_or(1)))
    })
}

/// `kubectl config view` that shows nothing.
fn empty_view(evidence: &Evidence) -> Option<usize> {
    let empty = |config: &&crate::read::Kubeconfig| config.clusters.is_empty() && config.contexts.is_empty();
    let shown = evidence.read().kubeconfigs.iter().filter(|config| config.refused.is_none());
    shown.filter(empty).map(|config| config.item).next()
}

/// An item that shows that somebody looked for the file: variable, directory, or the file itself.
fn looked(evidence: &Evidence) -> Option<usize> {
    const WORDS: [&str; 4] = ["KUBECONFIG", ".kube", "admin.conf", "k3s.yaml"];
    let items = evidence.items().iter().enumerate();
    let mut fit = items.filter(|(_, item)| {
        matches!(item.kind, ItemKind::NodeFacts | ItemKind::Kubeconfig)
            && WORDS.iter().any(|word| item.origin.source().contains(word) || item.text.contains(word))
    });
    fit.next().map(|(number, _)| number)
}
