//! What a container has mounted: its volumes, /etc/hosts, and the termination log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cri::v1::{Mount, MountPropagation};
use k8s_openapi::api::core::v1::{Volume, VolumeMount};

use crate::env::expand::expand_strictly;
use crate::pod::members::Member;
use crate::volume::{Volumes, host_path, subpath};

/// The volume mounts of a container; `env` is for `subPathExpr`.
pub(crate) fn of_volumes(
    volumes: &Volumes<'_>,
    member: &Member,
    env: &[(String, String)],
) -> Result<Vec<Mount>, String> {
    let pod_dir = volumes.node.config.pod_dir(&volumes.id.uid);
    let mounts = member.container.volume_mounts.iter().flatten().enumerate();
    let mounts = mounts.map(|(index, mount)| {
        let volume = volumes.spec.volumes.iter().flatten().find(|volume| volume.name == mount.name);
        let volume = volume.ok_or_else(|| format!("volume \"{}\" of the mount is not defined", mount.name))?;
        let mut source = host_path(&pod_dir, volume);
        if let Some(sub) = sub_path(mount, env)? {
            let name = &member.container.name;
            let target = pod_dir.join("volume-subpaths").join(&volume.name).join(name).join(index.to_string());
            source = subpath::bind(&source, &sub, &target)?;
        }
        let mut bound = bind(&source, mount);
        bound.readonly |= from_api(volume);
        Ok(bound)
    });
    mounts.collect()
}

/// What comes from the API is not for containers to write.
fn from_api(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

fn sub_path(mount: &VolumeMount, env: &[(String, String)]) -> Result<Option<String>, String> {
    if let Some(sub) = mount.sub_path.as_deref().filter(|sub| !sub.is_empty()) {
        return Ok(Some(sub.to_owned()));
    }
    let Some(expression) = mount.sub_path_expr.as_deref().filter(|expression| !expression.is_empty()) else {
        return Ok(None);
    };
    let lookup = |name: &str| env.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    expand_strictly(expression, lookup).map(Some)
}

fn bind(source: &Path, mount: &VolumeMount) -> Mount {
    let propagation = match mount.mount_propagation.as_deref() {
        Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
        Some("Bidirectional") => MountPropagation::PropagationBidirectional,
        _ => MountPropagation::PropagationPrivate,
    };
    Mount {
        container_path: absolute(&mount.mount_path),
        host_path: source.to_string_lossy().into_owned(),
        readonly: mount.read_only.unwrap_or(false),
        propagation: propagation.into(),
        ..Mount::default()
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// Makes the file that the container writes its last words to.
pub(crate) fn termination_log(pod_dir: &Path, container: &str, attempt: u32, path: &str) -> io::Result<Mount> {
    let dir = pod_dir.join("containers").join(container);
    fs::create_dir_all(&dir)?;
    let file = dir.join(attempt.to_string());
    write_for_all(&file, "")?;
    Ok(Mount { container_path: absolute(path), host_path: file.to_string_lossy().into_owned(), ..Mount::default() })
}

/// Writes the pod's /etc/hosts and mounts it, unless the container mounts something there itself.
pub(crate) fn etc_hosts(pod_dir: &Path, member: &Member, text: &str) -> io::Result<Option<Mount>> {
    if member.container.volume_mounts.iter().flatten().any(|mount| mount.mount_path == "/etc/hosts") {
        return Ok(None);
    }
    fs::create_dir_all(pod_dir)?;
    let file: PathBuf = pod_dir.join("etc-hosts");
    fs::write(&file, text)?;
    Ok(Some(Mount {
        container_path: "/etc/hosts".to_owned(),
        host_path: file.to_string_lossy().into_owned(),
        ..Mount::default()
    }))
}

/// A container that does not run as root must be able to write it too.
fn write_for_all(file: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o666))
}
