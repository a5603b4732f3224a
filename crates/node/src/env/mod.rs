//! The environment of a container: literals, references, services, and `$(VAR)`.

pub(crate) mod expand;
pub(crate) mod fields;
pub(crate) mod services;
pub(crate) mod sources;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource};

use sources::Sources;

/// A container cannot get the environment that its spec asks for; becomes `CreateContainerConfigError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadEnv(pub(crate) String);

/// Everything that a container's environment is made from.
pub(crate) struct Given<'a> {
    pub fields: fields::Fields<'a>,
    pub sources: &'a Sources,
    /// Variables for the services of the namespace.
    pub services: BTreeMap<String, String>,
}

/// The environment, in the order of the spec; service variables last, where nothing else defines them.
pub(crate) fn environment(container: &Container, given: &Given) -> Result<Vec<(String, String)>, BadEnv> {
    let mut env = Ordered::default();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &from.config_map_ref {
            let optional = reference.optional.unwrap_or(false);
            for (key, value) in given.sources.config_map(&reference.name, optional)? {
                env.set(format!("{prefix}{key}"), value);
            }
        } else if let Some(reference) = &from.secret_ref {
            let optional = reference.optional.unwrap_or(false);
            for (key, value) in given.sources.secret(&reference.name, optional)? {
                env.set(format!("{prefix}{key}"), value);
            }
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(variable, container, given, &env)? {
            env.set(variable.name.clone(), value);
        }
    }
    for (name, value) in &given.services {
        if !env.values.contains_key(name) {
            env.set(name.clone(), value.clone());
        }
    }
    Ok(env.order.iter().filter_map(|name| env.values.get(name).map(|value| (name.clone(), value.clone()))).collect())
}

#[derive(Default)]
struct Ordered {
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Ordered {
    fn set(&mut self, name: String, value: String) {
        if self.values.insert(name.clone(), value).is_none() {
            self.order.push(name);
        }
    }
}

fn value(variable: &EnvVar, container: &Container, given: &Given, so_far: &Ordered) -> Result<Option<String>, BadEnv> {
    if let Some(from) = &variable.value_from {
        return referenced(from, container, given);
    }
    let text = variable.value.as_deref().unwrap_or_default();
    let lookup = |name: &str| so_far.values.get(name).or_else(|| given.services.get(name)).cloned();
    Ok(Some(expand::expand(text, lookup)))
}

/// The value of a reference; `None` for an optional one that leads nowhere.
fn referenced(from: &EnvVarSource, container: &Container, given: &Given) -> Result<Option<String>, BadEnv> {
    if let Some(field) = &from.field_ref {
        return given.fields.field(&field.field_path).map(Some).map_err(BadEnv);
    }
    if let Some(resource) = &from.resource_field_ref {
        return given.fields.resource(resource, container).map(Some).map_err(BadEnv);
    }
    if let Some(key) = &from.config_map_key_ref {
        return given.sources.config_map_key(&key.name, &key.key, key.optional.unwrap_or(false));
    }
    if let Some(key) = &from.secret_key_ref {
        return given.sources.secret_key(&key.name, &key.key, key.optional.unwrap_or(false));
    }
    Err(BadEnv("environment variables from files are not supported by this node".to_owned()))
}
