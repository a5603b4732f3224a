//! Two kubeconfigs of one machine define a context, cluster or user of one name differently: only the first counts.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Kubeconfig;
use crate::read::toml::Spanned;

pub const RULE: Rule = Rule {
    code: "SM0452",
    key: "kubeconfig-context-duplicate",
    title: "two kubeconfigs define one name differently",
    severity: Severity::Warning,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mergeable = |config: &&Kubeconfig| {
        evidence.items()[config.item].kind == ItemKind::Kubeconfig && !config.path.starts_with("/etc/kubernetes/")
    };
    let configs: Vec<&Kubeconfig> = read.kubeconfigs.iter().filter(mergeable).collect();
    for (number, later) in configs.iter().enumerate() {
        for earlier in configs[..number].iter().filter(|earlier| earlier.node == later.node && earlier.path != later.path) {
            pair(evidence, findings, earlier, later);
        }
    }
}

fn pair(evidence: &Evidence, findings: &mut Findings<'_>, earlier: &Kubeconfig, later: &Kubeconfig) {
    let value = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.value.clone());
    let mut found: Vec<(&str, &Spanned<String>, &Spanned<String>)> = Vec::new();
    for context in &later.contexts {
        let other = earlier.context(&context.name.value);
        found.extend(other.filter(|other| {
            value(&other.cluster) != value(&context.cluster) || value(&other.user) != value(&context.user)
        }).map(|other| ("context", &context.name, &other.name)));
    }
    for cluster in &later.clusters {
        let other = earlier.cluster(&cluster.name.value);
        found.extend(other.filter(|other| value(&other.server) != value(&cluster.server)).map(|other| ("cluster", &cluster.name, &other.name)));
    }
    for user in &later.users {
        let other = earlier.user(&user.name.value);
        let data = |user: &crate::read::kubeconfig::User| (value(&user.certificate_data), value(&user.token));
        found.extend(other.filter(|other| data(other) != data(user)).map(|other| ("user", &user.name, &other.name)));
    }
    for (what, name, other) in found {
        let place = Place::Text { item: later.item, span: name.span.clone() };
        let cause = format!("the {what} {} is in {} too, with other content; the file that comes first in KUBECONFIG wins", name.value, earlier.path);
        let finding = findings.proven(place, cause);
        finding.quote(earlier.item, line(evidence, earlier.item, other));
        finding.fix(
            Fix::manual("give it another name in one of the files").step(format!("edit {} and the contexts that name it", later.path)),
        );
    }
}

fn line(evidence: &Evidence, item: usize, name: &Spanned<String>) -> u32 {
    crate::text::Position::of(&evidence.items()[item].text, name.span.start).line
}
