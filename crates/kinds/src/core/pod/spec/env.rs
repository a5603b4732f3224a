//! Environment variables of containers and where their values come from.

use api::{FieldErrors, Path, Quantity, names};
use k8s_openapi::api::core::v1::{
    Container, EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceFieldSelector,
};

use crate::checks;

/// Fields of the pod that variables can have.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of the pod that files can have.
pub const VOLUME_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Fields that exist, though not everywhere.
const MAP_FIELDS: [&str; 2] = ["metadata.annotations", "metadata.labels"];

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Variables of one container.
pub fn validate(container: &Container, path: &Path, errors: &mut FieldErrors) {
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let path = path.child("env").index(index);
        if variable.name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            checks::name(errors, &path.child("name"), &variable.name, variable_name);
        }
        if let Some(source) = &variable.value_from {
            value_from(variable, source, &path.child("valueFrom"), errors);
        }
    }
    let path = path.child("envFrom");
    for (index, source) in container.env_from.iter().flatten().enumerate() {
        env_from(source, &path, index, errors);
    }
}

/// Names of variables: printable ASCII without `=` (KEP-4369).
fn variable_name(name: &str) -> Vec<String> {
    if name.bytes().all(|c| (b' '..=b'~').contains(&c) && c != b'=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

fn env_from(source: &EnvFromSource, path: &Path, index: usize, errors: &mut FieldErrors) {
    let one = path.index(index);
    if let Some(prefix) = source.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
        checks::name(errors, &one.child("prefix"), prefix, variable_name);
    }
    let sources = [
        ("configMapRef", source.config_map_ref.as_ref().map(|source| &source.name)),
        ("secretRef", source.secret_ref.as_ref().map(|source| &source.name)),
    ];
    for (field, name) in sources {
        if let Some(name) = name {
            checks::required_name(errors, &one.child(field).child("name"), Some(name), checks::SUBDOMAIN);
        }
    }
    match sources.iter().filter(|(_, name)| name.is_some()).count() {
        0 => errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"),
        1 => {}
        _ => errors.invalid(path, "", "may not have more than one field specified at a time"),
    }
}

fn value_from(variable: &EnvVar, source: &EnvVarSource, path: &Path, errors: &mut FieldErrors) {
    if let Some(field) = &source.field_ref {
        field_selector(field, ENV_FIELDS, &path.child("fieldRef"), errors);
    }
    if let Some(resource) = &source.resource_field_ref {
        resource_selector(resource, false, &path.child("resourceFieldRef"), errors);
    }
    if let Some(key) = &source.config_map_key_ref {
        key_selector(&key.name, &key.key, &path.child("configMapKeyRef"), errors);
    }
    if let Some(key) = &source.secret_key_ref {
        key_selector(&key.name, &key.key, &path.child("secretKeyRef"), errors);
    }
    let sources = [
        source.field_ref.is_some(),
        source.resource_field_ref.is_some(),
        source.config_map_key_ref.is_some(),
        source.secret_key_ref.is_some(),
        source.file_key_ref.is_some(),
    ];
    match sources.iter().filter(|given| **given).count() {
        0 => errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        ),
        _ if variable.value.as_ref().is_some_and(|value| !value.is_empty()) => {
            errors.invalid(path, "", "may not be specified when `value` is not empty");
        }
        1 => {}
        _ => errors.invalid(path, "", "may not have more than one field specified at a time"),
    }
}

fn key_selector(name: &str, key: &str, path: &Path, errors: &mut FieldErrors) {
    checks::name(errors, &path.child("name"), name, checks::SUBDOMAIN);
    checks::required_name(errors, &path.child("key"), Some(key), names::config_key);
}

/// A field of the pod, as the downward API names it.
pub fn field_selector(selector: &ObjectFieldSelector, known: &[&str], path: &Path, errors: &mut FieldErrors) {
    if selector.api_version.as_deref().unwrap_or_default().is_empty() {
        return errors.required(&path.child("apiVersion"), "");
    }
    let field_path = path.child("fieldPath");
    let field = selector.field_path.as_str();
    if field.is_empty() {
        return errors.required(&field_path, "");
    }
    let subscript = field.strip_suffix("']").and_then(|field| field.split_once("['"));
    match subscript {
        Some(("metadata.annotations", key)) => checks::name(errors, path, &key.to_lowercase(), checks::QUALIFIED),
        Some(("metadata.labels", key)) => checks::name(errors, path, key, checks::QUALIFIED),
        Some((field, _)) => errors.invalid(path, field, "does not support subscript"),
        None if known.contains(&field) => {}
        None if ENV_FIELDS.contains(&field) || MAP_FIELDS.contains(&field) => {
            errors.not_supported(&field_path, field, known);
        }
        None => {
            let why = format!("error converting fieldPath: field label not supported: {field}");
            errors.invalid(&field_path, field, &why);
        }
    }
}

/// A resource of a container, as the downward API names it.
pub fn resource_selector(selector: &ResourceFieldSelector, of_file: bool, path: &Path, errors: &mut FieldErrors) {
    let resource = selector.resource.as_str();
    let huge = ["limits.hugepages-", "requests.hugepages-"].iter().any(|prefix| resource.starts_with(prefix));
    if of_file && selector.container_name.as_deref().unwrap_or_default().is_empty() {
        errors.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !RESOURCES.contains(&resource) && !huge {
        errors.not_supported(&path.child("resource"), resource, RESOURCES);
    }
    let Some(divisor) = selector.divisor.as_ref().and_then(|divisor| Quantity::parse(&divisor.0).ok()) else { return };
    if divisor == Quantity::ZERO {
        return;
    }
    let what = match resource.split_once('.').map(|(_, resource)| resource) {
        Some("cpu") => {
            if ![Quantity::milli(1), Quantity::units(1)].contains(&divisor) {
                let why = "only divisor's values 1m and 1 are supported with the cpu resource";
                errors.invalid(&path.child("divisor"), resource, why);
            }
            return;
        }
        Some("memory") => "memory",
        Some("ephemeral-storage") => "local ephemeral storage",
        Some(_) if huge => "hugepages",
        _ => return,
    };
    const DIVISORS: &str = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
    if !DIVISORS.split(", ").any(|text| Quantity::parse(text) == Ok(divisor)) {
        let why = format!("only divisor's values {DIVISORS} are supported with the {what} resource");
        errors.invalid(&path.child("divisor"), resource, &why);
    }
}
