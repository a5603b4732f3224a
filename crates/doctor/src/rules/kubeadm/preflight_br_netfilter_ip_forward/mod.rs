//! `br_netfilter` is not loaded, or its sysctl or `ip_forward` is off.

use super::output;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;

pub const RULE: Rule = Rule {
    code: "SM0302",
    key: "preflight-br-netfilter-ip-forward",
    title: "bridged or forwarded packets bypass the node's rules",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for (name, words, message) in output::failed(evidence) {
        if name.starts_with("FileContent--proc-sys-net") {
            report(evidence, findings, message, words);
        }
    }
    // flannel says it in its own words.
    for message in evidence.read().failing(&["br_netfilter", "bridge-nf-call"]) {
        if !message.text.contains("[ERROR ") {
            report(evidence, findings, message, &message.text);
        }
    }
}

fn report(evidence: &Evidence, findings: &mut Findings<'_>, message: &Message, words: &str) {
    let path = words.split_whitespace().find(|word| word.starts_with("/proc/sys/")).unwrap_or("/proc/sys/net");
    let path = path.trim_end_matches([':', ',']);
    let key = path.trim_start_matches("/proc/sys/").replace('/', ".");
    let facts = &evidence.read().facts;
    let loaded = facts.modules.iter().any(|module| module.value == "br_netfilter");
    let off = facts.setting(&message.node, &key).any(|setting| setting.value.value == "0");
    let bridge = key.contains("bridge");
    let missing = words.contains("does not exist") || words.contains("no such file");
    let (cause, fix) = if bridge && missing && !loaded && !off {
        let fix = Fix::manual("load the module, now and at every start")
            .step("modprobe br_netfilter")
            .step("echo br_netfilter > /etc/modules-load.d/k8s.conf")
            .step(format!("sysctl -w {key}=1"))
            .step(format!("echo '{key} = 1' >> /etc/sysctl.d/k8s.conf"));
        (format!("the kernel module br_netfilter is not loaded, so {path} is not there"), fix)
    } else {
        let fix = Fix::manual("switch it on, now and at every start")
            .step(format!("sysctl -w {key}=1"))
            .step(format!("echo '{key} = 1' >> /etc/sysctl.d/k8s.conf"));
        (format!("{key} is not 1"), fix)
    };
    findings.proven(output::machine(message, key), cause).message(message).fix(fix);
}
