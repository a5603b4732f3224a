//! A kubelet asks for a certificate, and nobody signs it: when the old one ends, the node is gone.

use std::collections::BTreeMap;

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::table;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0663",
    key: "certificate-request-pending",
    title: "kubelet's certificate request is not answered",
    severity: Severity::Warning,
    page: include_str!("page.md"),
    check,
};

/// Requests of nodes are approved within seconds.
const LONG: u64 = 600;

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut waiting: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for request in read.objects.iter().filter(|found| found.kind() == "CertificateSigningRequest") {
        let (spec, status) = (&request.object["spec"], &request.object["status"]);
        let open = status["conditions"].as_array().is_none_or(Vec::is_empty) && status["certificate"].is_null();
        if let (true, Some(signer), Some(user)) = (open, spec["signerName"].as_str(), spec["username"].as_str())
            && is_kubelets(signer)
        {
            waiting.entry((user.to_owned(), signer.to_owned())).or_default().push(request.name().to_owned());
        }
    }
    // One may have been made a moment ago; the kubelet makes the next one after a quarter of an hour without an answer.
    for ((user, signer), names) in waiting.iter().filter(|(_, names)| names.len() > 1) {
        let place = subjects::object("CertificateSigningRequest", "", &names[0], "status");
        let finding = findings.proven(place, format!("{} requests of `{user}` to `{signer}` wait for approval", names.len()));
        remedies(finding, &names[0], signer);
    }
    for (number, item) in evidence.items().iter().enumerate() {
        if !item.text.contains("SIGNERNAME") {
            continue;
        }
        let rows = table::columns(&item.text, "NAME");
        let old = |row: &&table::Row<'_>| table::age(row.get("AGE")).is_some_and(|age| age > LONG);
        let open = rows.iter().filter(|row| row.get("CONDITION") == "Pending" && is_kubelets(row.get("SIGNERNAME")));
        let Some(row) = open.clone().find(old) else { continue };
        let place = subjects::object("CertificateSigningRequest", "", row.first(), "status");
        let cause = format!("{} certificate requests wait, the one of `{}` since {}", open.count(), row.get("REQUESTOR"), row.get("AGE"));
        let finding = findings.proven(place, cause);
        finding.quote(number, row.line);
        remedies(finding, row.first(), row.get("SIGNERNAME"));
    }
    for message in read.failing(&["ertificate request was not signed"]) {
        let place = crate::finding::Place::Machine { node: message.node.clone(), what: "kubelet certificate".to_owned() };
        let finding = findings.likely(place, "the kubelet asked for a new certificate, and nobody signed it");
        finding.message(message);
        remedies(finding, "NAME", "kubernetes.io/kubelet-serving");
    }
}

fn is_kubelets(signer: &str) -> bool {
    matches!(signer, "kubernetes.io/kubelet-serving" | "kubernetes.io/kube-apiserver-client-kubelet")
}

fn remedies(finding: &mut Finding, name: &str, signer: &str) {
    finding.weigh(-2);
    if signer.ends_with("kubelet-serving") {
        finding.note("requests for serving certificates (serverTLSBootstrap) are approved by nobody unless an approver is installed");
    } else {
        finding.note("the controller manager approves these by itself: it does not run, or lacks the cluster's signing key");
    }
    finding.fix(
        Fix::manual("look who asks, and approve it")
            .step("kubectl get csr")
            .step(format!("kubectl certificate approve {name}")),
    );
}
