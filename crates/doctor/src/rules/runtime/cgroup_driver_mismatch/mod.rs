//! The kubelet and the container runtime use different cgroup drivers.

use std::sync::LazyLock;

use regex::Regex;

use super::cri;
use crate::evidence::{Evidence, Item, ItemKind};
use crate::finding::{Finding, Fix, Severity};
use crate::read::containerd::RUNTIME_PLUGINS;
use crate::read::{Message, same_node};
use crate::rule::{Findings, Rule};
use crate::text::Position;

pub const RULE: Rule = Rule {
    code: "SM0221",
    key: "cgroup-driver-mismatch",
    title: "kubelet and runtime with different cgroup drivers",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static FLAG: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)cgroup-?driver["']?\s*[=:]\s*["']?(systemd|cgroupfs)"#).ok());

/// What runtimes with systemd cgroups say of a path that is none: runc, CRI-O, Docker.
const SYSTEMD_ASKED: [&str; 3] =
    ["expected cgroupsPath to be of format", "did not receive slice as parent", "cgroup should be a valid slice"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for message in evidence.read().failures() {
        let text = &message.text;
        let node = message.node.as_str();
        let cause = if text.contains("is different from docker cgroup driver") {
            let kubelet = message.quoted_after("kubelet cgroup driver").unwrap_or("another driver");
            let docker = message.quoted_after("docker cgroup driver").unwrap_or("a different one");
            format!("the kubelet uses {kubelet}, Docker uses {docker} as cgroup driver")
        } else if SYSTEMD_ASKED.iter().any(|words| text.contains(words)) {
            "the runtime makes cgroups by systemd, and the kubelet names them as the driver cgroupfs does".to_owned()
        } else if text.contains("invalid slice name") || (text.contains("cgroup driver") && text.contains("mismatch")) {
            "the kubelet and the runtime use different cgroup drivers".to_owned()
        } else {
            continue;
        };
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let finding = findings.proven(cri::machine(node, "cgroup drivers"), cause);
        finding.weigh(1);
        explain(finding, evidence, node);
        mend(finding);
    }
    for node in cri::nodes(evidence) {
        if !seen.iter().any(|other| same_node(other, &node)) {
            by_settings(evidence, findings, &node);
        }
    }
}

/// No words: both settings must be there.
fn by_settings(evidence: &Evidence, findings: &mut Findings<'_>, node: &str) {
    let (kubelet, runtime) = (kubelet_driver(evidence, node), runtime_driver(evidence, node));
    let (Some(kubelet), Some(runtime)) = (kubelet, runtime) else {
        silent(evidence, findings, node);
        return;
    };
    if kubelet.0 == runtime.0 || asks_the_runtime(evidence, node) {
        return;
    }
    let cause = format!("the kubelet uses {}, the container runtime uses {} as cgroup driver", kubelet.0, runtime.0);
    let finding = findings.proven(cri::machine(node, "cgroup drivers"), cause);
    finding.quote(kubelet.1, kubelet.2).quote(runtime.1, runtime.2);
    explain(finding, evidence, node);
    if finding.explains.is_empty() && evidence.read().ready(node) == Some(true) {
        finding.severity(Severity::Warning);
    }
    mend(finding);
}

/// Control-plane containers that are killed without an error, again and again.
fn silent(evidence: &Evidence, findings: &mut Findings<'_>, node: &str) {
    let killed = evidence.read().messages.iter().filter(|message| is_killed(message) && same_node(&message.node, node));
    let killed: Vec<&Message> = killed.collect();
    let control = killed.iter().any(|message| {
        ["kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "kube-system"]
            .iter()
            .any(|name| message.pod.1.contains(name) || message.pod.0 == *name || message.text.contains(name))
    });
    if killed.is_empty() || !control {
        return;
    }
    let cause = "sandboxes of the control plane are killed and made again without an error, as with two cgroup drivers on cgroup v2";
    let finding = findings.open(cri::machine(node, "cgroup drivers"), cause);
    finding.needs(&[
        "SystemdCgroup in /etc/containerd/config.toml",
        "cgroupDriver in /var/lib/kubelet/config.yaml",
        "stat -fc %T /sys/fs/cgroup",
    ]);
    explain(finding, evidence, node);
    mend(finding);
}

fn is_killed(message: &Message) -> bool {
    !message.over && message.text.contains("sandbox changed, it will be killed and re-created")
}

type Driver = (&'static str, usize, u32);

fn named(text: &str) -> Option<&'static str> {
    match text.trim().to_lowercase().as_str() {
        "systemd" | "true" => Some("systemd"),
        "cgroupfs" | "false" => Some("cgroupfs"),
        _ => None,
    }
}

fn kubelet_driver(evidence: &Evidence, node: &str) -> Option<Driver> {
    let read = evidence.read();
    let set = read.facts.setting(node, "cgroupDriver").next();
    if let Some(set) = set
        && let Some(driver) = named(&set.value.value)
    {
        return Some((driver, set.item, set.line));
    }
    let of_kubelet = |item: &Item| {
        let source = item.origin.source();
        item.kind == ItemKind::KubeletLog || (source.contains("kubelet") && item.kind == ItemKind::NodeFacts)
    };
    evidence.items().iter().enumerate().filter(|(_, item)| of_kubelet(item)).find_map(|(number, item)| {
        if !item.origin.node().is_none_or(|found| same_node(found, node)) {
            return None;
        }
        item.text.lines().enumerate().find_map(|(index, line)| {
            let found = FLAG.as_ref()?.captures(line)?;
            Some((named(&found[1])?, number, u32::try_from(index + 1).ok()?))
        })
    })
}

fn runtime_driver(evidence: &Evidence, node: &str) -> Option<Driver> {
    let read = evidence.read();
    for config in read.configs.iter().filter(|config| same_node(&config.node, node)) {
        let name = config.cri_string(&RUNTIME_PLUGINS, &["containerd", "default_runtime_name"]);
        let name = name.map_or_else(|| "runc".to_owned(), |name| name.value);
        let path = ["containerd", "runtimes", name.as_str(), "options", "SystemdCgroup"];
        if let Some(set) = config.cri_boolean(&RUNTIME_PLUGINS, &path) {
            let line = Position::of(&evidence.items()[config.item].text, set.span.start).line;
            return Some((if set.value { "systemd" } else { "cgroupfs" }, config.item, line));
        }
        // Without the option containerd uses cgroupfs, if this file is all there is.
        let plain = config.parsed().is_some() && config.strings(&["imports"]).is_empty() && config.path.ends_with("config.toml");
        let read_at_all = config.version() >= 2 || config.cri_keys(&RUNTIME_PLUGINS, &[]).is_empty();
        if plain && read_at_all && (name == "runc" || name == "crun") {
            return Some(("cgroupfs", config.item, 1));
        }
    }
    let keys = ["SystemdCgroup", "systemdCgroup", "\"SystemdCgroup\"", "Cgroup Driver", "cgroup_manager"];
    keys.iter().flat_map(|key| read.facts.setting(node, key)).find_map(|set| {
        let value = set.value.value.trim_matches([',', '"', ' ']);
        Some((named(value)?, set.item, set.line))
    })
}

/// A kubelet that takes the driver from a runtime that tells it.
fn asks_the_runtime(evidence: &Evidence, node: &str) -> bool {
    let read = evidence.read();
    let kubelet = read.version(node, "kubelet").is_some_and(|kubelet| kubelet.number >= (1, 31));
    kubelet && read.version(node, "containerd").is_some_and(|containerd| containerd.number >= (2, 0))
}

fn explain(finding: &mut Finding, evidence: &Evidence, node: &str) {
    const WORDS: [&str; 6] =
        ["cgroup driver", "slice", "expected cgroupsPath", "invalid slice name", "in controller set", "sandbox changed, it will be killed"];
    let all = evidence.read().messages.iter().filter(|message| !message.over && same_node(&message.node, node));
    for message in all.filter(|message| WORDS.iter().any(|words| message.text.contains(words))) {
        finding.message(message);
    }
}

fn mend(finding: &mut Finding) {
    let fix = Fix::manual("use systemd on both sides (on a host that systemd runs)")
        .step("containerd: SystemdCgroup = true under …runtimes.runc.options in /etc/containerd/config.toml")
        .step("Docker: \"exec-opts\": [\"native.cgroupdriver=systemd\"] in /etc/docker/daemon.json")
        .step("kubelet: cgroupDriver: systemd in /var/lib/kubelet/config.yaml")
        .step("systemctl restart containerd kubelet   # docker instead of containerd, where that is the runtime");
    finding.fix(fix);
}
