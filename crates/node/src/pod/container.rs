//! The configuration of a container.

use cri::v1::{ContainerConfig, ContainerMetadata, Image, ImageSpec, KeyValue, LinuxContainerConfig, Mount};
use k8s_openapi::api::core::v1::PodSpec;

use crate::env::expand::expand;
use crate::labels::{CONTAINER_NAME, Notes, PodRef};
use crate::pod::members::Member;
use crate::pod::{resources, security};

/// Everything that a container is made from.
pub(crate) struct Parts<'a> {
    pub id: &'a PodRef,
    pub spec: &'a PodSpec,
    pub member: &'a Member<'a>,
    pub notes: &'a Notes,
    pub image: &'a Image,
    pub env: &'a [(String, String)],
    pub mounts: Vec<Mount>,
    /// The container whose processes an ephemeral container sees.
    pub target: Option<&'a str>,
    pub seccomp_dir: &'a std::path::Path,
    pub machine_bytes: i64,
}

/// Puts the parts together.
pub(crate) fn config(parts: Parts) -> ContainerConfig {
    let Parts { id, spec, member, notes, image, env, mounts, target, seccomp_dir, machine_bytes } = parts;
    let container = &member.container;
    let lookup = |name: &str| env.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let expanded = |words: &Option<Vec<String>>| words.iter().flatten().map(|word| expand(word, lookup)).collect();
    let mut labels = id.labels();
    labels.insert(CONTAINER_NAME.to_owned(), container.name.clone());
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: container.name.clone(), attempt: notes.restart_count }),
        // By id: the name may mean another image in a moment.
        image: Some(ImageSpec {
            image: image.id.clone(),
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..ImageSpec::default()
        }),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs: env.iter().map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() }).collect(),
        mounts,
        labels,
        annotations: notes.to_annotations(),
        log_path: format!("{}/{}.log", container.name, notes.restart_count),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
        linux: Some(LinuxContainerConfig {
            resources: Some(resources::for_runtime(spec, container, machine_bytes)),
            security_context: Some(security::of_container(spec, member, target, seccomp_dir)),
        }),
        ..ContainerConfig::default()
    }
}
