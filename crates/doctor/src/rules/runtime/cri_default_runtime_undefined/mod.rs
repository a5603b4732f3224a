//! `default_runtime_name` names a runtime that the file does not define.

use super::{config_file, cri};
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::RUNTIME_PLUGINS;
use crate::read::same_node;
use crate::rule::{Findings, Rule};
use crate::text::visible;

pub const RULE: Rule = Rule {
    code: "SM0206",
    key: "cri-default-runtime-undefined",
    title: "default runtime that is not defined",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: &str = "no corresponding runtime configured";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for config in &evidence.read().configs {
        let Some(name) = config.cri_string(&RUNTIME_PLUGINS, &["containerd", "default_runtime_name"]) else { continue };
        let said = cri::said(evidence, &config.node, WORDS);
        let defined = defined(evidence, &config.node);
        let imports = config.strings(&["imports"]).iter().any(|path| !path.value.is_empty());
        if defined.contains(&name.value) || (imports && !said) {
            continue;
        }
        seen.push(&config.node);
        let text = &evidence.items()[config.item].text;
        let span = config_file::inside(text, &name.span);
        let cause = format!("default_runtime_name is \"{}\", and no such runtime is defined in `{}`", visible(&name.value), config.path);
        let finding = findings.proven(Place::Text { item: config.item, span: span.clone() }, cause);
        finding.weigh(1);
        cri::explain(finding, evidence, &config.node);
        cri::quote_errors(finding, evidence, &config.node, WORDS);
        let near = defined.iter().find(|known| known.trim() == name.value.trim() || known.eq_ignore_ascii_case(&name.value));
        if let Some(near) = near {
            finding.fix(Fix::safe(format!("write {near}")).edit(config.item, span, near.as_str()).restart("containerd"));
        } else {
            finding.fix(Fix::review("use runc by default").edit(config.item, span, "runc").restart("containerd"));
        }
        let fix = Fix::manual(format!("or define the runtime {}", visible(&name.value)))
            .step(format!("add [plugins.….containerd.runtimes.{}] with its runtime_type to {}", visible(&name.value), config.path))
            .step("systemctl restart containerd");
        finding.fix(fix);
    }
    for message in evidence.read().failing(&[WORDS]) {
        if seen.iter().any(|node| same_node(node, &message.node)) {
            continue;
        }
        seen.push(&message.node);
        let name = message.quoted_after("default_runtime_name").unwrap_or("that is set").to_owned();
        let place = cri::machine(&message.node, "/etc/containerd/config.toml default_runtime_name");
        let finding = findings.proven(place, format!("the default runtime {name} is not defined in containerd's configuration"));
        finding.message(message).weigh(1);
        cri::explain(finding, evidence, &message.node);
        let fix = Fix::manual("define the runtime, or name another default")
            .step("edit default_runtime_name in /etc/containerd/config.toml (runc always exists)")
            .step("systemctl restart containerd");
        finding.fix(fix);
    }
}

/// Runtimes that the files of a node define; containerd's defaults always have runc.
fn defined(evidence: &Evidence, node: &str) -> Vec<String> {
    let configs = evidence.read().configs.iter().filter(|config| same_node(&config.node, node));
    let mut defined = vec!["runc".to_owned()];
    for config in configs {
        let runtimes = config.cri_keys(&RUNTIME_PLUGINS, &["containerd", "runtimes"]);
        defined.extend(runtimes.into_iter().map(|runtime| runtime.value));
        for old in ["default", "untrusted"] {
            let table = format!("{}_runtime", if old == "untrusted" { "untrusted_workload" } else { old });
            if !config.cri_keys(&RUNTIME_PLUGINS, &["containerd", &table]).is_empty() {
                defined.push(old.to_owned());
            }
        }
    }
    defined
}
