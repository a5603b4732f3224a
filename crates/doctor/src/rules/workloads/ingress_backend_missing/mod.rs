//! An Ingress whose backend names a Service, or a port of it, that does not exist.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::cluster::Cluster;
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::near::nearest;
use crate::read::objects::Found;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0662",
    key: "ingress-backend-missing",
    title: "ingress leads to a service that is not there",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static TOLD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"<error: (?:services|endpoints) "(?P<name>[^"]+)" not found>"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let cluster = Cluster::of(read);
    let services: Vec<&Found> = cluster.all("Service").collect();
    // Without any service nothing was looked at.
    for ingress in cluster.all("Ingress").filter(|_| !services.is_empty()) {
        let (namespace, name) = (ingress.namespace(), ingress.name());
        let mut said = BTreeSet::new();
        for (field, backend) in backends(&ingress.object["spec"]) {
            let wanted = backend["name"].as_str().unwrap_or_default();
            let own = services.iter().filter(|service| service.namespace() == namespace);
            let cause = match own.clone().find(|service| service.name() == wanted) {
                _ if wanted.is_empty() => continue,
                None => format!("there is no service `{wanted}` in `{namespace}`"),
                Some(service) if !has_port(service, &backend["port"]) => {
                    format!("the service `{wanted}` has no port {}", port(&backend["port"]))
                }
                Some(_) => continue,
            };
            if !said.insert(cause.clone()) {
                continue;
            }
            let finding = findings.proven(subjects::object("Ingress", namespace, name, field), cause);
            finding.weigh(-1);
            if let Some(near) = nearest(wanted, own.map(|service| service.name())).filter(|near| *near != wanted) {
                finding.note(format!("there is `{near}`"));
            }
            finding.fix(Fix::manual("correct the backend, or create the service").step(format!("kubectl get services -n {namespace}")));
        }
    }
    for message in &read.messages {
        let Some(found) = TOLD.as_ref().and_then(|told| told.captures(&message.text)) else { continue };
        let cause = format!("an ingress leads to the service `{}`, which is not there or has no endpoints", &found["name"]);
        let finding = findings.proven(subjects::object("Service", "", &found["name"], ""), cause);
        finding.message(message);
        finding.fix(Fix::manual("correct the backend, or create the service").step(format!("kubectl get services,endpointslices | grep {}", &found["name"])));
    }
}

/// The services that an Ingress leads to, and their fields.
fn backends(spec: &Value) -> Vec<(String, &Value)> {
    let mut backends = vec![("spec.defaultBackend.service".to_owned(), &spec["defaultBackend"]["service"])];
    for (rule, one) in spec["rules"].as_array().into_iter().flatten().enumerate() {
        for (path, one) in one["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            backends.push((format!("spec.rules[{rule}].http.paths[{path}].backend.service"), &one["backend"]["service"]));
        }
    }
    // A controller of AWS's load balancers takes this for the name of an annotation with an action.
    backends.retain(|(_, service)| service.is_object() && service["port"]["name"] != "use-annotation");
    backends
}

fn has_port(service: &Found, wanted: &Value) -> bool {
    // What an external name listens on is not told, and some controllers need no port.
    if service.object["spec"]["type"] == "ExternalName" || !wanted.is_object() {
        return true;
    }
    let ports = service.object["spec"]["ports"].as_array();
    ports.into_iter().flatten().any(|port| {
        let number = !wanted["number"].is_null() && port["port"] == wanted["number"];
        number || !wanted["name"].is_null() && port["name"] == wanted["name"]
    })
}

fn port(wanted: &Value) -> String {
    match &wanted["name"] {
        Value::String(name) => format!("`{name}`"),
        _ => wanted["number"].to_string(),
    }
}
