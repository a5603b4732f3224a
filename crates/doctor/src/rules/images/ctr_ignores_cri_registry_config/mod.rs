//! `ctr` and `nerdctl` do their own requests and do not read the CRI plugin's registry settings.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::{is_plain_http, is_tool, is_unknown_authority};
use crate::read::{Pull, Speaker, pulls, reference};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0120",
    key: "ctr-ignores-cri-registry-config",
    title: "ctr or nerdctl does not know the node's registry settings",
    severity: Severity::Warning,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let own = |pull: &&Pull| is_tool(pull.speaker) && (is_plain_http(pull) || is_unknown_authority(&pull.text));
    let private = |pull: &&Pull| !(reference::is_public(&pull.asked) && is_unknown_authority(&pull.text));
    let pulls = read.pulls.iter().filter(own).filter(private);
    for ((node, registry), pulls) in pulls::grouped(pulls, |pull| (pull.node.clone(), registry_of(pull))) {
        let tool = if pulls.iter().any(|pull| pull.speaker == Speaker::Ctr) { "ctr" } else { "nerdctl" };
        // Where pulls of the kubelet fail as well, the tool is not the matter.
        let elsewhere = read.pulls.iter().any(|pull| !is_tool(pull.speaker) && registry_of(pull) == registry);
        if elsewhere {
            continue;
        }
        let settings = read.registries(&node);
        let declared = settings.entry(&registry).is_some();
        let pulled = pulled(evidence, &registry);
        let place = Place::Machine { node: node.clone(), what: command(evidence, &pulls, tool) };
        let cause = format!("{tool} does not use the registry settings that the kubelet's pulls use, so `{registry}` is unknown to it");
        let finding = if declared || pulled { findings.proven(place, cause) } else { findings.likely(place, cause) };
        pulls::explain(finding, &read.messages, &pulls);
        if !declared && !pulled {
            finding.note("whether the kubelet can pull is not known: `crictl pull` of the same image tells");
        }
        let image = pulls.first().map_or("", |pull| pull.image.as_str());
        let root = settings.config_path().map_or_else(|| "/etc/containerd/certs.d".to_owned(), |(_, path)| path.value);
        let root = root.split(':').next().unwrap_or_default().trim().to_owned();
        let plain = pulls.iter().any(|pull| is_plain_http(pull));
        let mut fix = Fix::manual("test with crictl, or tell the tool itself").step(format!("crictl pull {image}"));
        fix = match (tool, plain) {
            ("ctr", true) => fix.step(format!("ctr -n k8s.io images pull --plain-http {image}")),
            ("ctr", false) => fix.step(format!("ctr -n k8s.io images pull --hosts-dir {root} {image}")),
            _ => fix.step(format!("nerdctl -n k8s.io --hosts-dir {root} pull {image}")),
        };
        finding.weigh(1).fix(fix);
    }
}

fn registry_of(pull: &Pull) -> String {
    if pull.registry().is_empty() { pull.asked.clone() } else { pull.registry().to_owned() }
}

/// Whether something shows that the CRI can pull from there: an event, a journal, crictl.
fn pulled(evidence: &Evidence, registry: &str) -> bool {
    let quiet = evidence.read().messages.iter().filter(|message| !message.is_failure());
    let mut good = quiet.filter(|message| !is_tool(message.speaker) && message.text.contains(registry));
    good.any(|message| {
        ["uccessfully pulled", "returns image reference", "Image is up to date"].iter().any(|words| message.text.contains(words))
    })
}

/// The command that was run.
fn command(evidence: &Evidence, pulls: &[&Pull], tool: &str) -> String {
    let read = evidence.read();
    let item = pulls.first().and_then(|pull| read.messages.get(pull.message)).and_then(|message| evidence.items().get(message.item));
    let source = item.map(|item| item.origin.source()).filter(|source| source.contains(tool));
    source.unwrap_or(tool).to_owned()
}
