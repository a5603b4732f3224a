//! The kubelet is started with a flag that its version no longer has.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::cri;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::{Message, Speaker, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0223",
    key: "kubelet-flag-removed",
    title: "kubelet flag that is gone",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// Flags, and the minor version of Kubernetes 1 whose kubelet no longer has them.
pub(in crate::rules) const REMOVED: [(&str, u32); 12] = [
    ("--dynamic-config-dir", 24),
    ("--network-plugin", 24),
    ("--cni-conf-dir", 24),
    ("--cni-bin-dir", 24),
    ("--cni-cache-dir", 24),
    ("--network-plugin-mtu", 24),
    ("--docker-endpoint", 24),
    ("--image-pull-progress-deadline", 24),
    ("--non-masquerade-cidr", 24),
    ("--container-runtime", 27),
    ("--master-service-namespace", 27),
    ("--pod-infra-container-image", 35),
];

static UNKNOWN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"unknown flag: ['"]?(--[\w-]+)|flag provided but not defined: ['"]?(-{1,2}[\w-]+)"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<(&str, String)> = Vec::new();
    for message in evidence.read().messages.iter().filter(|message| !message.over && of_kubelet(message)) {
        let found = UNKNOWN.as_ref().and_then(|form| form.captures(&message.text));
        let Some(flag) = found.and_then(|found| found.get(1).or(found.get(2)).map(|flag| flag.as_str().to_owned())) else {
            continue;
        };
        if seen.contains(&(message.node.as_str(), flag.clone())) {
            continue;
        }
        let version = evidence.read().version(&message.node, "kubelet");
        let whose = version.map_or_else(|| "this kubelet".to_owned(), |version| format!("kubelet {}", version.text));
        let (place, file) = place(evidence, &message.node, &flag);
        let cause = format!("the kubelet is started with {flag}, which {whose} does not have");
        let finding = findings.proven(place, cause);
        finding.weigh(1);
        let told = evidence.read().messages.iter().filter(|other| other.text.contains(&format!("unknown flag: {flag}")));
        for other in told.filter(|other| same_node(&other.node, &message.node)) {
            finding.message(other);
        }
        finding.message(message);
        mend(evidence, finding, &flag, file);
        seen.push((&message.node, flag));
    }
    for node in cri::nodes(evidence) {
        let Some(version) = evidence.read().version(&node, "kubelet") else { continue };
        for (flag, minor) in REMOVED {
            if version.number < (1, minor) || seen.iter().any(|(other, known)| same_node(other, &node) && known == flag) {
                continue;
            }
            let Some(file) = file_with(evidence, &node, flag) else { continue };
            let (place, _) = place(evidence, &node, flag);
            let cause = format!("the kubelet's flags have {flag}, which kubelet {} does not have", version.text);
            let finding = findings.proven(place, cause);
            finding.quote_word(evidence, file, flag).quote(version.item, version.line);
            mend(evidence, finding, flag, Some(file));
        }
    }
}

fn of_kubelet(message: &Message) -> bool {
    message.speaker == Speaker::Kubelet || message.text.contains("kubelet")
}

/// The item that shows the kubelet's flags with this one among them.
fn file_with(evidence: &Evidence, node: &str, flag: &str) -> Option<usize> {
    let items = evidence.items().iter().enumerate();
    let mut items = items.filter(|(_, item)| {
        let source = item.origin.source();
        let flags = source.contains("kubelet") && item.kind == ItemKind::NodeFacts;
        flags && item.origin.node().is_none_or(|found| same_node(found, node))
    });
    items.find(|(_, item)| span_of(&item.text, flag).is_some()).map(|(number, _)| number)
}

/// The bytes of a flag with its value.
pub(in crate::rules) fn span_of(text: &str, flag: &str) -> Option<Range<usize>> {
    text.match_indices(flag).find_map(|(at, _)| {
        let rest = text.get(at + flag.len()..)?;
        let next = rest.chars().next();
        if next.is_some_and(|next| next == '-' || next.is_alphanumeric()) {
            return None;
        }
        let length = rest.find(['"', '\'', ' ', '\n', '\t']).unwrap_or(rest.len());
        Some(at..at + flag.len() + length)
    })
}

/// The flag in its file, if the file's content is there.
fn place(evidence: &Evidence, node: &str, flag: &str) -> (Place, Option<usize>) {
    let file = file_with(evidence, node, flag);
    let whole = file.filter(|file| evidence.items()[*file].origin.path().is_some());
    match whole.and_then(|file| Some((file, span_of(&evidence.items()[file].text, flag)?))) {
        Some((item, span)) => (Place::Text { item, span }, file),
        None => (cri::machine(node, format!("kubelet flag {flag}")), file),
    }
}

fn mend(evidence: &Evidence, finding: &mut Finding, flag: &str, file: Option<usize>) {
    let file = file.map(|file| (file, &evidence.items()[file]));
    let whole = file.filter(|(_, item)| item.origin.path().is_some());
    if let Some((item, span)) = whole.and_then(|(number, item)| Some((number, span_of(&item.text, flag)?))) {
        let text = &evidence.items()[item].text;
        let blank = text.get(span.end..).is_some_and(|rest| rest.starts_with(' '));
        finding.fix(Fix::safe(format!("take {flag} out")).edit(item, span.start..span.end + usize::from(blank), "").restart("kubelet"));
    }
    let fix = Fix::manual(format!("take {flag} out of the kubelet's flags"))
        .step(format!("grep -rn -- {flag} /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/sysconfig/kubelet /etc/systemd/system/kubelet.service.d"))
        .step("systemctl daemon-reload && systemctl restart kubelet");
    finding.fix(fix);
}
