//! A Deployment past its progress deadline. Why its pods don't become ready is another finding's cause.

use std::sync::LazyLock;

use regex::Regex;

use super::cluster::{Cluster, labels, selects};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::objects::Found;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0661",
    key: "rollout-stuck",
    title: "rollout does not come to an end",
    severity: Severity::Warning,
    page: include_str!("page.md"),
    check,
};

static TOLD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"deployment "(?P<name>[^"]+)" exceeded its progress deadline"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let cluster = Cluster::of(read);
    for deployment in cluster.all("Deployment").filter(|found| is_stuck(found)) {
        let (namespace, name) = (deployment.namespace(), deployment.name());
        let cause = format!("the rollout of `{name}` has passed its deadline: its new pods don't become ready");
        let finding = findings.proven(subjects::object("Deployment", namespace, name, "status.conditions[Progressing]"), cause);
        let selector = labels(&deployment.object["spec"]["selector"]["matchLabels"]);
        let pods = cluster.matching(namespace, &selector).filter(|pod| selects(&selector, pod) && !is_ready(pod));
        let pods: Vec<&str> = pods.map(Found::name).collect();
        if let Some(first) = pods.first() {
            finding.note(format!("{} of its pods are not ready, `{first}` among them: see what is found about them", pods.len()));
        }
        remedies(finding, namespace, name);
    }
    for message in read.messages.iter().filter(|message| message.text.contains("exceeded its progress deadline")) {
        let Some(found) = TOLD.as_ref().and_then(|told| told.captures(&message.text)) else { continue };
        let cause = format!("the rollout of `{}` has passed its deadline: its new pods don't become ready", &found["name"]);
        let finding = findings.likely(subjects::object("Deployment", "", &found["name"], ""), cause);
        finding.message(message);
        remedies(finding, "", &found["name"]);
    }
}

fn is_stuck(deployment: &Found) -> bool {
    let conditions = deployment.object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["reason"] == "ProgressDeadlineExceeded" && one["status"] == "False")
}

fn is_ready(pod: &Found) -> bool {
    let conditions = pod.object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn remedies(finding: &mut Finding, namespace: &str, name: &str) {
    let namespace = subjects::in_namespace(namespace);
    finding.weigh(-3);
    finding.fix(
        Fix::manual("mend what keeps the new pods from becoming ready, or go back")
            .step(format!("kubectl describe deployment {name}{namespace}"))
            .step(format!("kubectl rollout undo deployment/{name}{namespace}")),
    );
}
