//! A registry of AWS is asked without credentials: the node has no role that may read, or no credential provider.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::{Answer, Pull};
use crate::read::pulls::{explain, grouped};
use crate::read::secrets::{Access, access, is_aws};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0141",
    key: "ecr-node-role-missing",
    title: "ECR is asked without credentials",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let denied = read.pulls.iter().filter(|pull| pull.answer == Answer::Denied && is_aws(pull.registry()));
    for ((registry, node), pulls) in grouped(denied, |pull| (pull.registry().to_owned(), pull.node.clone())) {
        let Some(first) = pulls.first() else { continue };
        if access(evidence, first) != Access::Aws {
            continue;
        }
        let place = Place::Machine { node, what: format!("role and credential provider for {registry}") };
        let cause = format!("`{registry}` is asked without credentials of a role that may read it");
        let finding = if lacks_role(evidence, first) {
            findings.proven(place, cause)
        } else {
            findings.open(place, cause).or(&["image-pull-secret-missing", "registry-credentials-rejected"]).needs(&[
                "the node's instance role and its policies",
                "kubelet --image-credential-provider-config",
                "imagePullSecrets of the pod",
            ])
        };
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("let the node's role read ECR, or set up the kubelet's credential provider")
                .step("aws iam attach-role-policy --role-name ROLE --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"),
        );
    }
}

/// Whether AWS itself says that the role may not, or the role's policies were listed and none reads ECR.
fn lacks_role(evidence: &Evidence, pull: &Pull) -> bool {
    if pull.says("not authorized to perform") || pull.says("AccessDenied") {
        return true;
    }
    evidence.items().iter().any(|item| {
        let source = item.origin.0.as_str();
        let role = source.contains("role-policies") || source.contains("instance-profile") || source.contains("iam");
        let kubelet = source.contains("kubelet") && !source.contains("journalctl") && item.text.contains("--");
        let denied = item.text.contains("ecr:") && item.text.contains("not authorized");
        let lacks = role && !source.contains("credentials/") && !item.text.contains("ContainerRegistry") && !item.text.contains("ecr:");
        let provider = kubelet && !item.text.contains("image-credential-provider");
        denied || lacks || provider
    })
}
