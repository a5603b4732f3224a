//! `systemd_cgroup = true` stands at the level of the CRI plugin instead of `SystemdCgroup` under runc's options.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::containerd::RUNTIME_PLUGINS;
use crate::read::same_node;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0205",
    key: "cri-systemd-cgroup-wrong-place",
    title: "systemd_cgroup at the level of the CRI plugin",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: &str = "only works for runtime io.containerd.runtime.v1.linux";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for config in &evidence.read().configs {
        let Some(found) = config.cri_boolean(&RUNTIME_PLUGINS, &["systemd_cgroup"]).filter(|found| found.value) else {
            continue;
        };
        let name = config.cri_string(&RUNTIME_PLUGINS, &["containerd", "default_runtime_name"]);
        let name = name.map_or_else(|| "runc".to_owned(), |name| name.value);
        let kind = config.cri_string(&RUNTIME_PLUGINS, &["containerd", "runtimes", &name, "runtime_type"]);
        if kind.is_some_and(|kind| kind.value == "io.containerd.runtime.v1.linux") {
            continue;
        }
        seen.push(&config.node);
        let place = Place::Text { item: config.item, span: found.span.clone() };
        let cause = format!("`{}` sets systemd_cgroup = true for the whole CRI plugin, which only the old runtime v1 allows", config.path);
        let finding = findings.proven(place, cause);
        finding.weigh(1);
        cri::explain(finding, evidence, &config.node);
        cri::quote_errors(finding, evidence, &config.node, WORDS);
        let options = ["containerd", "runtimes", name.as_str(), "options", "SystemdCgroup"];
        if config.cri_boolean(&RUNTIME_PLUGINS, &options).is_none_or(|option| !option.value) {
            finding.note(format!("for systemd cgroups set SystemdCgroup = true under the options of the runtime {name} as well"));
        }
        let fix = Fix::safe("set systemd_cgroup = false").edit(config.item, found.span, "false").restart("containerd");
        finding.fix(fix);
    }
    let errors = evidence.read().plugins.mentions.iter().filter(|plugin| plugin.error.contains(WORDS));
    for error in errors {
        if !seen.iter().any(|node| same_node(node, &error.node)) {
            seen.push(&error.node);
            let finding = report(evidence, findings, &error.node);
            finding.quote(error.item, error.line);
        }
    }
    for message in evidence.read().failing(&[WORDS]) {
        if !seen.iter().any(|node| same_node(node, &message.node)) {
            seen.push(&message.node);
            report(evidence, findings, &message.node).message(message);
        }
    }
}

fn report<'a>(evidence: &Evidence, findings: &'a mut Findings<'_>, node: &str) -> &'a mut Finding {
    let place = cri::machine(node, "/etc/containerd/config.toml systemd_cgroup");
    let finding = findings.proven(place, "systemd_cgroup = true is set for the whole CRI plugin, which only the old runtime v1 allows");
    finding.weigh(1);
    cri::explain(finding, evidence, node);
    let fix = Fix::manual("set SystemdCgroup under runc's options instead")
        .step("edit /etc/containerd/config.toml: systemd_cgroup = false, and SystemdCgroup = true under …runtimes.runc.options")
        .step("systemctl restart containerd");
    finding.fix(fix);
    finding
}
