//! A pod's volumes, from the spec to directories on the node.
//!
//! Secrets and tokens lie in plain files under the node's state directory, which only root can enter,
//! and not in memory as a kubelet has them: a mount would be lost to running pods when the node's mount
//! namespace is made anew. Memory is used where the spec asks for it (`emptyDir.medium: Memory`).
//!
//! Deliberately absent: persistent volumes, CSI, and the in-tree network file systems.

mod atomic;
mod content;
mod empty_dir;
mod host_path;
pub(crate) mod mounts;
mod ownership;
mod subpath;
pub(crate) mod tokens;

use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Pod, PodSpec, Volume};

use crate::env::fields::Fields;
use crate::labels::PodRef;
use crate::node::Node;
use crate::objects::Age;

/// A volume that is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// In the words of the event that a kubelet records.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {problem}")]
    SetUp { volume: String, problem: String },
    /// This node cannot have such volumes.
    #[error(
        "volume \"{volume}\": {what} not supported by this node yet; use emptyDir, hostPath, configMap, secret, downwardAPI or projected"
    )]
    Unsupported { volume: String, what: String },
}

/// The volumes of one pod.
pub(crate) struct Volumes<'a> {
    pub node: &'a Node,
    pub id: &'a PodRef,
    pub pod: &'a Pod,
    pub spec: &'a PodSpec,
    /// How old the objects that they show may be.
    pub age: Age,
}

impl Volumes<'_> {
    /// Makes all volumes available.
    pub(crate) async fn mount(&self) -> Result<(), VolumeError> {
        for volume in self.spec.volumes.iter().flatten() {
            self.mount_one(volume).await?;
        }
        Ok(())
    }

    /// Brings files up to date that show objects of the API server; a problem leaves them as they are.
    pub(crate) async fn refresh(&self) {
        for volume in self.spec.volumes.iter().flatten().filter(|volume| content::shows_objects(volume)) {
            if let Err(err) = self.mount_one(volume).await {
                tracing::debug!(pod = %self.id, volume = volume.name, error = %err, "volume not refreshed");
            }
        }
    }

    async fn mount_one(&self, volume: &Volume) -> Result<(), VolumeError> {
        let set_up = |problem: String| VolumeError::SetUp { volume: volume.name.clone(), problem };
        let dir = dir(&self.node.config.pod_dir(&self.id.uid), volume);
        let fs_group = self.spec.security_context.as_ref().and_then(|context| context.fs_group);
        if let Some(source) = &volume.empty_dir {
            empty_dir::make(&dir, source).map_err(|err| set_up(err.to_string()))?;
            return ownership::writable(&dir, fs_group).map_err(|err| set_up(err.to_string()));
        }
        if let Some(source) = &volume.host_path {
            return host_path::check(source).map_err(set_up);
        }
        if content::shows_objects(volume) {
            let files = content::files(self, volume).await.map_err(set_up)?;
            return atomic::write(&dir, &files, fs_group).map_err(|err| set_up(err.to_string()));
        }
        Err(VolumeError::Unsupported { volume: volume.name.clone(), what: unsupported(volume) })
    }

    pub(crate) fn fields<'a>(&'a self, host_ip: &'a str, pod_ips: &'a [String]) -> Fields<'a> {
        Fields { pod: self.pod, pod_ips, host_ip, allocatable: self.node.machine.allocatable() }
    }
}

/// Where a volume lies, for volumes that have a place of their own.
pub(crate) fn dir(pod_dir: &Path, volume: &Volume) -> PathBuf {
    let plugin = if volume.empty_dir.is_some() {
        "kubernetes.io~empty-dir"
    } else if volume.config_map.is_some() {
        "kubernetes.io~configmap"
    } else if volume.secret.is_some() {
        "kubernetes.io~secret"
    } else if volume.downward_api.is_some() {
        "kubernetes.io~downward-api"
    } else {
        "kubernetes.io~projected"
    };
    pod_dir.join("volumes").join(plugin).join(&volume.name)
}

/// The path that containers get to see.
pub(crate) fn host_path(pod_dir: &Path, volume: &Volume) -> PathBuf {
    match &volume.host_path {
        Some(source) => PathBuf::from(&source.path),
        None => dir(pod_dir, volume),
    }
}

fn unsupported(volume: &Volume) -> String {
    if let Some(claim) = &volume.persistent_volume_claim {
        return format!("persistent volumes (claim \"{}\") are", claim.claim_name);
    }
    let value = serde_json::to_value(volume).unwrap_or_default();
    let kind = value.as_object().and_then(|fields| fields.keys().find(|key| *key != "name").cloned());
    format!("{} volumes are", kind.unwrap_or_else(|| "such".to_owned()))
}

/// Removes a pod's directory with all that is mounted below it.
pub(crate) fn remove(pod_dir: &Path) -> io::Result<()> {
    empty_dir::unmount_below(pod_dir)?;
    match std::fs::remove_dir_all(pod_dir) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}
