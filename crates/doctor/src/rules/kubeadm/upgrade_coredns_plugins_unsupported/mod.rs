//! The Corefile has plugins that kubeadm's migration of CoreDNS does not know.

use super::output;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::objects::Found;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0311",
    key: "upgrade-coredns-plugins-unsupported",
    title: "Corefile has plugins that the migration does not know",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// Plugins that the migration knows.
const KNOWN: [&str; 21] = [
    "errors", "log", "health", "ready", "autopath", "kubernetes", "k8s_external", "prometheus", "proxy", "forward", "cache",
    "loop", "reload", "loadbalance", "hosts", "rewrite", "transfer", "template", "import", "whoami", "federation",
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let checks = output::failed(evidence);
    for (name, words, message) in checks.filter(|(name, _, _)| name.starts_with("CoreDNS")) {
        let place = Place::Object {
            kind: "ConfigMap".to_owned(),
            namespace: "kube-system".to_owned(),
            name: "coredns".to_owned(),
            field: "data.Corefile".to_owned(),
        };
        let finding = match corefile(evidence) {
            Some((item, plugins)) => {
                let finding = findings.proven(place, format!("the Corefile has {}", told(&plugins)));
                for plugin in &plugins {
                    finding.quote_word(evidence, item, plugin);
                }
                finding
            }
            None => findings.open(place, format!("{words}; which, only the Corefile tells")).needs(&[
                "Corefile: kubectl -n kube-system get cm coredns -o yaml",
                "kubeadm version",
            ]),
        };
        finding.message(message).fix(
            Fix::manual("read the Corefile; ignore the check only when the new CoreDNS has these plugins")
                .step("kubectl -n kube-system get configmap coredns -o yaml")
                .step(format!("kubeadm upgrade apply … --ignore-preflight-errors={name}")),
        );
    }
}

fn told(plugins: &[&str]) -> String {
    match plugins {
        [] => "directives that the migration does not know".to_owned(),
        [one] => format!("the plugin `{one}`, which the migration does not know"),
        several => format!("the plugins `{}`, which the migration does not know", several.join("`, `")),
    }
}

/// The item with the Corefile, and its plugins that the migration does not know.
fn corefile(evidence: &Evidence) -> Option<(usize, Vec<&str>)> {
    let is_coredns = |found: &&Found| found.kind() == "ConfigMap" && found.name() == "coredns";
    let object = evidence.read().objects.iter().find(is_coredns);
    if let Some((item, text)) = object.and_then(|found| Some((found.item, found.object["data"]["Corefile"].as_str()?))) {
        return Some((item, unknown(text)));
    }
    evidence.items().iter().enumerate().find_map(|(number, item)| {
        let text = &item.text;
        let start = text.find("Corefile: |").or_else(|| text.find(".:53 {")).or_else(|| text.find("\"Corefile\":"))?;
        (item.kind != ItemKind::Unavailable && text.contains("kubernetes ")).then(|| (number, unknown(&text[start..])))
    })
}

/// Plugins in the blocks of a Corefile that the migration does not know. Line ends may be JSON's.
fn unknown(text: &str) -> Vec<&str> {
    let (mut depth, mut plugins) = (0_usize, Vec::new());
    for line in text.split('\n').flat_map(|line| line.split("\\n")) {
        let line = line.trim();
        let word = line.split_whitespace().next().unwrap_or_default();
        let name = !word.is_empty() && word.chars().all(|mark| mark.is_ascii_alphanumeric() || mark == '_');
        if depth == 1 && name && !KNOWN.contains(&word) && !plugins.contains(&word) {
            plugins.push(word);
        }
        depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
    }
    plugins
}
