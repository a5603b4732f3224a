//! A character that can't be seen in the name of a registry: a key of the mirrors table, or a directory of `certs.d`.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::pulls;
use crate::rule::{Findings, Rule};
use crate::text::{is_invisible, visible};

pub const RULE: Rule = Rule {
    code: "SM0108",
    key: "mirror-key-invisible-character",
    title: "invisible character in the name of a registry's table or directory",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn is_hidden(character: char) -> bool {
    is_invisible(character) && character != '\t'
}

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for config in &read.configs {
        let mirrors = config.mirrors().into_iter().map(|mirror| mirror.key);
        let settings = config.host_settings().into_iter().map(|settings| settings.key);
        for key in mirrors.chain(settings) {
            let Some(span) = key.run(&evidence.items()[config.item].text, is_hidden) else { continue };
            let place = Place::Text { item: config.item, span: span.clone() };
            let cause = format!("the table's key is \"{}\", which is no registry's name", visible(&key.value));
            let finding = findings.proven(place, cause);
            pulls::explain(finding, &read.messages, &read.pulls_meant(&config.node, &key.value));
            let fix = Fix::safe("delete the invisible character").edit(config.item, span, "").restart("containerd");
            finding.weigh(2).fix(fix);
        }
    }
    for file in &read.hosts {
        if !file.directory.contains(is_hidden) {
            continue;
        }
        let place = Place::Machine { node: file.node.clone(), what: format!("{}/{}", file.root(), file.directory) };
        let cause = format!("the directory is called \"{}\", which is no registry's name", visible(&file.directory));
        let finding = findings.proven(place, cause);
        pulls::explain(finding, &read.messages, &read.pulls_meant(&file.node, &file.directory));
        let (root, good) = (file.root(), file.directory.replace(is_hidden, ""));
        let fix = Fix::manual("rename the directory").step(format!("mv '{root}/{}' '{root}/{good}'", file.directory));
        finding.weigh(2).fix(fix);
    }
}
