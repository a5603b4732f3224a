//! A kubelet flag that is used today and that the target's kubelet does not have.

use super::target::{machine, nodes, target};
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::rules::runtime::kubelet_flag_removed::{REMOVED, span_of};

pub const RULE: Rule = Rule {
    code: "SM0806",
    key: "upgrade-kubelet-flag-gone",
    title: "kubelet flag that the target does not have",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(target) = target(evidence) else { return };
    for node in nodes(evidence) {
        let now = evidence.read().version(&node, "kubelet").map_or((1, 0), |version| version.number);
        // One that is gone already is another rule's: that kubelet does not even start.
        let due = REMOVED.iter().filter(|(_, gone)| *gone <= target && now < (1, *gone));
        for (flag, gone) in due {
            let files = evidence.items().iter().enumerate().filter(|(_, item)| {
                let flags = item.kind == ItemKind::NodeFacts && item.origin.source().contains("kubelet");
                flags && item.origin.node() == Some(node.as_str())
            });
            let mut spans = files.filter_map(|(number, item)| Some((number, item, span_of(&item.text, flag)?)));
            let Some((number, item, span)) = spans.next() else { continue };
            let cause = format!("the kubelet is started with {flag}, which kubelets from 1.{gone} on do not have");
            let place = match item.origin.path() {
                Some(_) => Place::Text { item: number, span },
                None => machine(&node, format!("kubelet flag {flag}")),
            };
            let finding = findings.proven(place, cause);
            finding.quote_word(evidence, number, flag);
            finding.fix(
                Fix::manual(format!("take {flag} out when the node's kubelet is upgraded"))
                    .step("kubeadm upgrade node   # does it for flags that kubeadm wrote")
                    .step("systemctl daemon-reload && systemctl restart kubelet"),
            );
        }
    }
}
