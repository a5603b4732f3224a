//! An ingress leads somewhere: its rules and its default name services or other backends.

use api::{FieldErrors, Path, names};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressRule};
use serde_json::{Value, json};

use crate::checks;
use crate::value::{default, object};

/// The status always says where the load balancer is, if only that there is none.
pub fn defaults(ingress: &mut Value) {
    object(ingress, "status").into_iter().for_each(|status| default(status, "loadBalancer", json!({})));
}

/// Reports everything that is wrong.
pub fn validate(ingress: &Ingress, _: Option<&Ingress>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = ingress.spec.clone().unwrap_or_default();
    let rules = spec.rules.as_deref().unwrap_or_default();
    if spec.default_backend.is_none() && rules.is_empty() {
        errors.invalid(&path, checks::json(&spec.rules), "either `defaultBackend` or `rules` must be specified");
    }
    if let Some(one) = &spec.default_backend {
        backend(one, &path.child("defaultBackend"), errors);
    }
    for (index, tls) in spec.tls.iter().flatten().enumerate() {
        let path = path.child("tls").index(index);
        for (index, name) in tls.hosts.iter().flatten().enumerate() {
            host(name, &path.child("hosts").index(index), errors);
        }
    }
    for (index, one) in rules.iter().enumerate() {
        rule(one, &path.child("rules").index(index), errors);
    }
    if let Some(class) = &spec.ingress_class_name {
        checks::name(errors, &path.child("ingressClassName"), class, checks::SUBDOMAIN);
    }
}

fn host(name: &str, path: &Path, errors: &mut FieldErrors) {
    if name.parse::<std::net::IpAddr>().is_ok() {
        errors.invalid(path, name, "must be a DNS name, not an IP address");
    }
    // A wildcard stands for exactly one label.
    let concrete = name.strip_prefix("*.").unwrap_or(name);
    if concrete.contains('*') || !names::dns_subdomain(concrete).is_empty() {
        checks::name(errors, path, name, checks::SUBDOMAIN);
    }
}

fn rule(rule: &IngressRule, path: &Path, errors: &mut FieldErrors) {
    if let Some(name) = rule.host.as_deref().filter(|name| !name.is_empty()) {
        host(name, &path.child("host"), errors);
    }
    let Some(http) = &rule.http else { return };
    let path = path.child("http").child("paths");
    if http.paths.is_empty() {
        errors.required(&path, "");
    }
    for (index, one) in http.paths.iter().enumerate() {
        http_path(one, &path.index(index), errors);
    }
}

fn http_path(http: &HTTPIngressPath, path: &Path, errors: &mut FieldErrors) {
    const TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
    let text = http.path.as_deref().unwrap_or_default();
    match http.path_type.as_str() {
        "" => errors.required(&path.child("pathType"), "pathType must be specified"),
        "Exact" | "Prefix" => {
            let path = path.child("path");
            if !text.starts_with('/') {
                errors.invalid(&path, text, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if text.contains(part) {
                    errors.invalid(&path, text, &format!("must not contain '{part}'"));
                }
            }
            for end in ["/..", "/."] {
                if text.ends_with(end) {
                    errors.invalid(&path, text, &format!("cannot end with '{end}'"));
                }
            }
        }
        "ImplementationSpecific" if !text.is_empty() && !text.starts_with('/') => {
            errors.invalid(&path.child("path"), text, "must be an absolute path");
        }
        "ImplementationSpecific" => {}
        other => errors.not_supported(&path.child("pathType"), other, TYPES),
    }
    backend(&http.backend, &path.child("backend"), errors);
}

fn backend(backend: &IngressBackend, path: &Path, errors: &mut FieldErrors) {
    match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => {
            errors.invalid(path, "", "cannot set both resource and service backends");
        }
        (None, None) => errors.required(path, "resource or service backend is required"),
        (Some(resource), None) => {
            for (field, value) in [("kind", &resource.kind), ("name", &resource.name)] {
                if value.is_empty() {
                    errors.required(&path.child("resource").child(field), "");
                }
            }
        }
        (None, Some(service)) => {
            let path = path.child("service");
            checks::required_name(errors, &path.child("name"), Some(&service.name), names::dns_1035_label);
            let port = service.port.clone().unwrap_or_default();
            let name = port.name.as_deref().filter(|name| !name.is_empty());
            match (name, port.number.filter(|number| *number != 0)) {
                (Some(_), Some(_)) => errors.invalid(&path, "", "cannot set both port name & port number"),
                (None, None) => errors.required(&path, "port name or number is required"),
                (Some(name), None) => {
                    checks::name(errors, &path.child("port").child("name"), name, names::port_name);
                }
                (None, Some(number)) => checks::port(errors, &path.child("port").child("number"), number),
            }
        }
    }
}
