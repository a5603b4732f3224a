//! A value in config.toml has the wrong type.

use toml_edit::Item;

use super::config_file::{self, Refusal};
use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};
use crate::text::visible;

pub const RULE: Rule = Rule {
    code: "SM0217",
    key: "containerd-config-wrong-type",
    title: "value of the wrong type in config.toml",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Boolean,
    Number,
    Text,
    List,
}

const BOOLEANS: [&str; 22] = [
    "SystemdCgroup", "systemd_cgroup", "enable_selinux", "disable_cgroup", "disable_apparmor", "restrict_oom_score_adj",
    "disable_hugetlb_controller", "tolerate_missing_hugetlb_controller", "ignore_image_defined_volumes",
    "netns_mounts_under_state_dir", "enable_unprivileged_ports", "enable_unprivileged_icmp", "enable_cdi",
    "disable_tcp_service", "enable_tls_streaming", "NoPivotRoot", "NoNewKeyring", "privileged_without_host_devices",
    "insecure_skip_verify", "disable_snapshot_annotations", "discard_unpacked_layers", "grpc_histogram",
];
const NUMBERS: [&str; 9] = [
    "version", "oom_score", "max_concurrent_downloads", "max_container_log_line_size", "uid", "gid",
    "max_recv_message_size", "max_send_message_size", "max_conf_num",
];
const TEXTS: [&str; 20] = [
    "plugin_dir", "address", "sandbox_image", "stream_server_address", "stream_server_port", "stream_idle_timeout",
    "config_path", "snapshotter", "default_runtime_name", "runtime_type", "runtime_engine", "runtime_root", "BinaryName",
    "bin_dir", "conf_dir", "conf_template", "base_runtime_spec", "ca_file", "cert_file", "key_file",
];
const LISTS: [&str; 7] =
    ["disabled_plugins", "required_plugins", "imports", "endpoint", "pod_annotations", "container_annotations", "bin_dirs"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for config in &evidence.read().configs {
        let Some(toml) = config.parsed() else { continue };
        let text = &evidence.items()[config.item].text;
        for (path, item, span) in toml.leaves() {
            let Some(want) = wanted(&path).filter(|want| !is(item, *want)) else { continue };
            seen.push(&config.node);
            let key = path.last().map(String::as_str).unwrap_or_default();
            let raw = text.get(span.clone()).unwrap_or_default();
            let cause = format!("`{}` sets {key} to {}, and {} is wanted", config.path, visible(raw), name(want));
            let finding = findings.proven(Place::Text { item: config.item, span: span.clone() }, cause);
            finding.weigh(1);
            let options = path.iter().any(|key| key == "options");
            explain(finding, evidence, &config.node, options);
            match replaced(item, raw, want) {
                Some(new) => finding.fix(Fix::safe(format!("write {new}")).edit(config.item, span, new).restart("containerd")),
                None => finding.fix(Fix::manual("write a value of the right type").step("systemctl restart containerd")),
            };
        }
    }
    for message in config_file::refusals(evidence) {
        if config_file::refusal(&message.text) != Refusal::Type || seen.iter().any(|node| same_node(node, &message.node)) {
            continue;
        }
        seen.push(&message.node);
        let path = config_file::path_of(&message.text);
        let options = message.text.contains("runtime options");
        let what = match config_file::position(&message.text) {
            Some((line, column)) if line > 0 => format!("{path} line {line} column {column}"),
            _ if options => format!("{path} options of the runtime"),
            _ => path.to_owned(),
        };
        let words = message.text.split_once("Can't convert ").map_or("", |(_, words)| words);
        let cause = match words.split_once(" to ") {
            Some((value, wanted)) => format!("a value in `{path}` has the wrong type: {value} where a {wanted} is wanted"),
            None => format!("a value in `{path}` has the wrong type"),
        };
        let finding = findings.proven(cri::machine(&message.node, what), cause);
        finding.message(message);
        explain(finding, evidence, &message.node, options);
        let fix = Fix::manual("correct the value and restart containerd");
        finding.fix(fix.step("systemctl restart containerd"));
    }
}

/// The type that a key must have, where it is known.
fn wanted(path: &[String]) -> Option<Want> {
    let key = path.last()?.as_str();
    if path.len() == 1 && (key == "root" || key == "state") {
        return Some(Want::Text);
    }
    if path.first().is_some_and(|top| top == "timeouts" || top == "proxy_plugins" || top == "stream_processors") {
        return None;
    }
    let lists: [(&[&str], Want); 4] =
        [(&BOOLEANS, Want::Boolean), (&NUMBERS, Want::Number), (&TEXTS, Want::Text), (&LISTS, Want::List)];
    lists.into_iter().find(|(keys, _)| keys.contains(&key)).map(|(_, want)| want)
}

fn is(item: &Item, want: Want) -> bool {
    match want {
        Want::Boolean => item.is_bool(),
        Want::Number => item.is_integer(),
        Want::Text => item.is_str(),
        Want::List => item.is_array(),
    }
}

fn name(want: Want) -> &'static str {
    match want {
        Want::Boolean => "true or false without quotes",
        Want::Number => "a number without quotes",
        Want::Text => "a string",
        Want::List => "a list of strings",
    }
}

/// The same value in the right type, where that is no guess.
fn replaced(item: &Item, raw: &str, want: Want) -> Option<String> {
    let text = item.as_str().map(str::trim);
    match (want, text) {
        (Want::Boolean, Some("true" | "True" | "TRUE")) => Some("true".to_owned()),
        (Want::Boolean, Some("false" | "False" | "FALSE")) => Some("false".to_owned()),
        (Want::Boolean, None) if raw == "1" || raw == "0" => Some((raw == "1").to_string()),
        (Want::Number, Some(digits)) => digits.parse::<i64>().ok().map(|number| number.to_string()),
        (Want::List, Some(_)) => Some(format!("[{raw}]")),
        (Want::Text, None) if item.is_integer() => Some(format!("\"{raw}\"")),
        _ => None,
    }
}

fn explain(finding: &mut Finding, evidence: &Evidence, node: &str, options: bool) {
    let types = |text: &str| config_file::refusal(text) == Refusal::Type;
    for message in config_file::refusals(evidence).filter(|message| same_node(&message.node, node)) {
        if types(&message.text) {
            finding.message(message);
        }
    }
    if !options {
        cri::explain(finding, evidence, node);
    }
}
