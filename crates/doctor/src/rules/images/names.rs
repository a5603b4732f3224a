//! Registries' names with a character too many: keys of containerd's tables, and directories of `certs.d`.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place};
use crate::read::pulls;
use crate::rule::Findings;
use crate::text::visible;

/// Reports keys and directories with a character that `is_wrong`; `what` names it in the fix.
pub(super) fn report(evidence: &Evidence, findings: &mut Findings<'_>, what: &str, is_wrong: fn(char) -> bool) {
    let read = evidence.read();
    for config in &read.configs {
        let mirrors = config.mirrors().into_iter().map(|mirror| mirror.key);
        let settings = config.host_settings().into_iter().map(|settings| settings.key);
        for key in mirrors.chain(settings) {
            let Some(span) = key.run(&evidence.items()[config.item].text, is_wrong) else { continue };
            let place = Place::Text { item: config.item, span: span.clone() };
            let cause = format!("the table's key is \"{}\", which is no registry's name", visible(&key.value));
            let finding = findings.proven(place, cause);
            pulls::explain(finding, &read.messages, &read.pulls_meant(&config.node, &key.value));
            let fix = Fix::safe(format!("delete the {what}")).edit(config.item, span, "").restart("containerd");
            finding.weigh(2).fix(fix);
        }
    }
    for file in &read.hosts {
        if !file.directory.contains(is_wrong) {
            continue;
        }
        let place = Place::Machine { node: file.node.clone(), what: format!("{}/{}", file.root(), file.directory) };
        let cause = format!("the directory is called \"{}\", which is no registry's name", visible(&file.directory));
        let finding = findings.proven(place, cause);
        pulls::explain(finding, &read.messages, &read.pulls_meant(&file.node, &file.directory));
        let (root, good) = (file.root(), file.directory.replace(is_wrong, ""));
        let fix = Fix::manual("rename the directory").step(format!("mv '{root}/{}' '{root}/{good}'", file.directory));
        finding.weigh(2).fix(fix);
    }
}
