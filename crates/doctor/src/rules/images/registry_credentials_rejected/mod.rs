//! The registry answers 401 to the credentials in use.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::secrets::{Access, access};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0137",
    key: "registry-credentials-rejected",
    title: "registry does not accept the credentials",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let denied = read.pulls.iter().filter(|pull| pull.answer == Answer::Denied);
    for (host, pulls) in grouped(denied, |pull| pull.asked.clone()) {
        let Some(first) = pulls.first() else { continue };
        let registry = first.registry();
        let entry = read.secrets.entries.iter().find(|entry| crate::read::secrets::is_for(&entry.key, registry));
        let what = match entry {
            Some(entry) if !entry.secret.is_empty() => format!("credentials of secret {}", entry.secret),
            _ => "credentials".to_owned(),
        };
        let place = Place::Service(format!("registry {host}: {what}"));
        let cause = format!("`{host}` does not accept the {what}");
        let finding = match access(evidence, first) {
            Access::Rejected(true) => findings.proven(place, cause),
            Access::Rejected(false) => findings.likely(place, cause),
            Access::Unknown if !first.says("does not exist") => {
                let cause = format!("`{host}` wants other credentials than those of the pull, or any at all");
                findings
                    .open(place, cause)
                    .or(&["image-pull-secret-missing", "pull-secret-wrong-host", "image-pull-secret-wrong-namespace", "registry-token-denied"])
                    .needs(&[
                        "imagePullSecrets of the pod and its service account",
                        "kubectl get secrets of the namespace",
                        "hosts (auths keys) in the pull secret",
                        "the same credentials by hand (curl -u against /v2/)",
                    ])
            }
            _ => continue,
        };
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("renew the account or its token, and write the new one into the pull secret")
                .step(format!("kubectl create secret docker-registry NAME --docker-server={host} --docker-username=… --docker-password=… --dry-run=client -o yaml | kubectl apply -f -")),
        );
    }
}
