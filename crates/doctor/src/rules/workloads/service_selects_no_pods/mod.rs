//! A Service whose selector matches no pod: nobody answers its connections.

use super::cluster::{Cluster, labels, selects};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0653",
    key: "service-selects-no-pods",
    title: "service selects no pods",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let cluster = Cluster::of(evidence.read());
    for service in cluster.all("Service") {
        let selector = labels(&service.object["spec"]["selector"]);
        let (namespace, name) = (service.namespace(), service.name());
        if selector.is_empty() || service.object["spec"]["type"] == "ExternalName" || !cluster.has_pods {
            continue;
        }
        let pods = cluster.pods(namespace);
        if cluster.matching(namespace, &selector).any(|pod| selects(&selector, pod)) {
            continue;
        }
        let shown: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let cause = format!("no pod in `{namespace}` has the labels `{}` that the service `{name}` selects", shown.join(","));
        let finding = findings.proven(subjects::object("Service", namespace, name, "spec.selector"), cause);
        finding.weigh(-1);
        // A workload that is scaled to nothing has no pods on purpose.
        if cluster.is_template(namespace, &selector) {
            finding.severity(Severity::Note);
        }
        let missed = |pod: &&&crate::read::objects::Found| {
            let own = labels(&pod.object["metadata"]["labels"]);
            selector.iter().filter(|(key, value)| own.get(*key) != Some(*value)).count()
        };
        let near = pods.iter().min_by_key(missed).filter(|pod| selector.len() > 1 && missed(pod) == 1);
        if let Some(pod) = near {
            finding.note(format!("the pod `{}` differs in one label only", pod.name()));
        }
        finding.fix(
            Fix::manual("make the service's selector and the pods' labels the same")
                .step(format!("kubectl get pods -n {namespace} --show-labels"))
                .step(format!("kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={name}")),
        );
    }
}
