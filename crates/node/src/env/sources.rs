//! The ConfigMaps and Secrets that a container's environment refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret};

use crate::env::BadEnv;
use crate::objects::{Age, FetchError, Objects};

/// Objects by name; `None` for one that does not exist.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub namespace: String,
    pub config_maps: BTreeMap<String, Option<Arc<ConfigMap>>>,
    pub secrets: BTreeMap<String, Option<Arc<Secret>>>,
}

impl Sources {
    /// Fetches what the container's environment refers to.
    pub(crate) async fn fetch(objects: &Objects, namespace: &str, container: &Container) -> Result<Self, FetchError> {
        let mut sources = Self { namespace: namespace.to_owned(), ..Self::default() };
        let (config_maps, secrets) = names(container);
        for name in config_maps {
            let object = objects.config_map(namespace, &name, Age::Fresh).await?;
            sources.config_maps.insert(name, object);
        }
        for name in secrets {
            let object = objects.secret(namespace, &name, Age::Fresh).await?;
            sources.secrets.insert(name, object);
        }
        Ok(sources)
    }

    /// All pairs of a ConfigMap.
    pub(crate) fn config_map(&self, name: &str, optional: bool) -> Result<Vec<(String, String)>, BadEnv> {
        match self.config_maps.get(name).and_then(Option::as_ref) {
            Some(object) => Ok(object.data.clone().unwrap_or_default().into_iter().collect()),
            None if optional => Ok(Vec::new()),
            None => Err(BadEnv(format!("configmap \"{name}\" not found"))),
        }
    }

    /// All pairs of a Secret.
    pub(crate) fn secret(&self, name: &str, optional: bool) -> Result<Vec<(String, String)>, BadEnv> {
        match self.secrets.get(name).and_then(Option::as_ref) {
            Some(object) => {
                let data = object.data.iter().flatten();
                Ok(data.map(|(key, value)| (key.clone(), text(&value.0))).collect())
            }
            None if optional => Ok(Vec::new()),
            None => Err(BadEnv(format!("secret \"{name}\" not found"))),
        }
    }

    /// One value of a ConfigMap.
    pub(crate) fn config_map_key(&self, name: &str, key: &str, optional: bool) -> Result<Option<String>, BadEnv> {
        let pairs = self.config_map(name, optional)?;
        self.pick("ConfigMap", name, key, optional, pairs)
    }

    /// One value of a Secret.
    pub(crate) fn secret_key(&self, name: &str, key: &str, optional: bool) -> Result<Option<String>, BadEnv> {
        let pairs = self.secret(name, optional)?;
        self.pick("Secret", name, key, optional, pairs)
    }

    fn pick(
        &self,
        kind: &str,
        name: &str,
        key: &str,
        optional: bool,
        pairs: Vec<(String, String)>,
    ) -> Result<Option<String>, BadEnv> {
        match pairs.into_iter().find(|(found, _)| found == key) {
            Some((_, value)) => Ok(Some(value)),
            None if optional => Ok(None),
            None => Err(BadEnv(format!("couldn't find key {key} in {kind} {}/{name}", self.namespace))),
        }
    }
}

/// A process gets bytes; CRI carries text only.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The names of the ConfigMaps and Secrets in a container's environment.
fn names(container: &Container) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut config_maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for from in container.env_from.iter().flatten() {
        config_maps.extend(from.config_map_ref.iter().map(|reference| reference.name.clone()));
        secrets.extend(from.secret_ref.iter().map(|reference| reference.name.clone()));
    }
    for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        config_maps.extend(from.config_map_key_ref.iter().map(|reference| reference.name.clone()));
        secrets.extend(from.secret_key_ref.iter().map(|reference| reference.name.clone()));
    }
    (config_maps, secrets)
}
