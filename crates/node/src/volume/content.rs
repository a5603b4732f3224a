//! Files that show objects: ConfigMaps, Secrets, the pod's own fields, tokens.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Secret, ServiceAccountTokenProjection, Volume, VolumeProjection,
};

use crate::env::fields::service_account;
use crate::objects::TokenAsk;
use crate::pod::{members, security};
use crate::volume::Volumes;
use crate::volume::atomic::File;

/// The mode of files for which the spec gives none.
const DEFAULT_MODE: i32 = 0o644;
/// Kubernetes' own default lifetime of projected tokens, in seconds.
const TOKEN_SECONDS: i64 = 3600;

type Files = BTreeMap<String, File>;

/// Whether the volume's files show objects of the API server, and so may change.
pub(super) fn shows_objects(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

/// The files that the volume has to have now.
pub(super) async fn files(volumes: &Volumes<'_>, volume: &Volume) -> Result<Files, String> {
    let mode = |mode: Option<i32>| mode.unwrap_or(DEFAULT_MODE);
    if let Some(source) = &volume.config_map {
        let wanted = Wanted::new(&source.items, source.optional, mode(source.default_mode));
        return config_map(volumes, &source.name, &wanted).await;
    }
    if let Some(source) = &volume.secret {
        let wanted = Wanted::new(&source.items, source.optional, mode(source.default_mode));
        return secret(volumes, source.secret_name.as_deref().unwrap_or_default(), &wanted).await;
    }
    if let Some(source) = &volume.downward_api {
        return downward(volumes, source.items.as_deref().unwrap_or_default(), mode(source.default_mode));
    }
    let Some(source) = &volume.projected else { return Ok(Files::new()) };
    let mut files = Files::new();
    for part in source.sources.iter().flatten() {
        files.extend(projection(volumes, &volume.name, part, mode(source.default_mode)).await?);
    }
    Ok(files)
}

async fn projection(volumes: &Volumes<'_>, volume: &str, part: &VolumeProjection, mode: i32) -> Result<Files, String> {
    if let Some(source) = &part.config_map {
        return config_map(volumes, &source.name, &Wanted::new(&source.items, source.optional, mode)).await;
    }
    if let Some(source) = &part.secret {
        return secret(volumes, &source.name, &Wanted::new(&source.items, source.optional, mode)).await;
    }
    if let Some(source) = &part.downward_api {
        return downward(volumes, source.items.as_deref().unwrap_or_default(), mode);
    }
    if let Some(source) = &part.service_account_token {
        return token(volumes, volume, source, mode).await;
    }
    Err("this kind of projection is not supported by this node".to_owned())
}

/// Which keys become files.
struct Wanted<'a> {
    items: &'a [KeyToPath],
    optional: bool,
    mode: i32,
}

impl<'a> Wanted<'a> {
    fn new(items: &'a Option<Vec<KeyToPath>>, optional: Option<bool>, mode: i32) -> Self {
        Self { items: items.as_deref().unwrap_or_default(), optional: optional.unwrap_or(false), mode }
    }

    /// All keys, or those of the items.
    fn pick(&self, data: &BTreeMap<String, Vec<u8>>) -> Result<Files, String> {
        if self.items.is_empty() {
            return Ok(data.iter().map(|(key, value)| (key.clone(), file(value.clone(), self.mode))).collect());
        }
        let mut files = Files::new();
        for item in self.items {
            match data.get(&item.key) {
                Some(value) => {
                    files.insert(item.path.clone(), file(value.clone(), item.mode.unwrap_or(self.mode)));
                }
                None if self.optional => {}
                None => return Err(format!("references non-existent config key: {}", item.key)),
            }
        }
        Ok(files)
    }
}

fn file(data: Vec<u8>, mode: i32) -> File {
    File { data, mode: u32::try_from(mode).unwrap_or(0) & 0o777, user: None }
}

async fn config_map(volumes: &Volumes<'_>, name: &str, wanted: &Wanted<'_>) -> Result<Files, String> {
    let found = volumes
        .node
        .objects
        .config_map(&volumes.id.namespace, name, volumes.age)
        .await
        .map_err(|err| err.to_string())?;
    match found {
        Some(object) => wanted.pick(&config_map_data(&object)).map_err(|problem| format!("configmap {problem}")),
        None if wanted.optional => Ok(Files::new()),
        None => Err(format!("configmap \"{name}\" not found")),
    }
}

fn config_map_data(object: &ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = object.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = object.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    text.chain(binary).collect()
}

async fn secret(volumes: &Volumes<'_>, name: &str, wanted: &Wanted<'_>) -> Result<Files, String> {
    let found =
        volumes.node.objects.secret(&volumes.id.namespace, name, volumes.age).await.map_err(|err| err.to_string())?;
    match found {
        Some(object) => wanted.pick(&secret_data(&object)).map_err(|problem| format!("secret {problem}")),
        None if wanted.optional => Ok(Files::new()),
        None => Err(format!("secret \"{name}\" not found")),
    }
}

fn secret_data(object: &Secret) -> BTreeMap<String, Vec<u8>> {
    object.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

fn downward(volumes: &Volumes<'_>, items: &[DownwardAPIVolumeFile], mode: i32) -> Result<Files, String> {
    let host_ip = volumes.node.config.node_ip.to_string();
    let fields = volumes.fields(&host_ip, &[]);
    let mut files = Files::new();
    for item in items {
        let text = if let Some(field) = &item.field_ref {
            fields.field(&field.field_path)?
        } else if let Some(resource) = &item.resource_field_ref {
            let name = resource.container_name.as_deref().unwrap_or_default();
            let member = members::find(volumes.spec, name).ok_or_else(|| format!("container {name} not found"))?;
            fields.resource(resource, &member.container)?
        } else {
            continue;
        };
        files.insert(item.path.clone(), file(text.into_bytes(), item.mode.unwrap_or(mode)));
    }
    Ok(files)
}

async fn token(
    volumes: &Volumes<'_>,
    volume: &str,
    source: &ServiceAccountTokenProjection,
    mode: i32,
) -> Result<Files, String> {
    let ask = TokenAsk {
        audience: source.audience.clone().filter(|audience| !audience.is_empty()),
        seconds: source.expiration_seconds.unwrap_or(TOKEN_SECONDS),
    };
    let account = service_account(volumes.spec);
    let place = format!("{volume}/{}", source.path);
    let node = volumes.node;
    let token =
        node.tokens.get(&node.objects, volumes.id, account, &place, ask).await.map_err(|err| err.to_string())?;
    let user = common_user(volumes);
    // A token is for its pod's user alone, if there is just one.
    let fs_group = volumes.spec.security_context.as_ref().and_then(|context| context.fs_group);
    let mode = if user.is_some() || fs_group.is_some() { 0o600 } else { mode };
    Ok([(source.path.clone(), File { user, ..file(token.into_bytes(), mode) })].into())
}

/// The user that all containers of the pod run as, if the spec says so.
fn common_user(volumes: &Volumes<'_>) -> Option<u32> {
    let mut users = members::members(volumes.spec).map(|member| security::run_as_user(volumes.spec, &member.container));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_choose_keys_paths_and_modes() {
        let data = [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())].into();
        let items = |value| Some(serde_json::from_value::<Vec<KeyToPath>>(value).unwrap());
        let paths = |items: &Option<Vec<KeyToPath>>, optional: bool| {
            let files = Wanted::new(items, Some(optional), 0o644).pick(&data);
            files.map(|files| files.into_iter().map(|(path, file)| (path, file.mode)).collect::<Vec<_>>())
        };
        assert_eq!(paths(&None, false), Ok(vec![("a".into(), 0o644), ("b".into(), 0o644)]));
        let chosen = items(json!([{"key": "b", "path": "x/y", "mode": 256}]));
        assert_eq!(paths(&chosen, false), Ok(vec![("x/y".into(), 0o400)]));
        let missing = items(json!([{"key": "c", "path": "c"}]));
        assert_eq!(paths(&missing, true), Ok(vec![]));
        assert_eq!(paths(&missing, false), Err("references non-existent config key: c".to_owned()));
    }
}
