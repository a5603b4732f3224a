//! What a container may do: its security context and that of its pod, as the runtime takes them.
//!
//! Deliberately absent: AppArmor and SELinux; the runtime refuses a profile on a machine without them,
//! so the fields are left unset and a pod that asks for one is refused earlier.

use std::path::Path;

use cri::v1::security_profile::ProfileType;
use cri::v1::{
    Capability, Image, Int64Value, LinuxContainerSecurityContext, LinuxSandboxSecurityContext, NamespaceMode,
    NamespaceOption, SecurityProfile, SupplementalGroupsPolicy,
};
use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext};

use crate::pod::members::{self, Member};

/// Hidden from containers that do not ask for `procMount: Unmasked`.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Not writable by them.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The namespaces of a pod; `target` is the container whose processes an ephemeral container sees.
pub(crate) fn namespaces(spec: &PodSpec, target: Option<&str>) -> NamespaceOption {
    let node_if = |wanted: Option<bool>, otherwise: NamespaceMode| {
        if wanted.unwrap_or(false) { NamespaceMode::Node } else { otherwise }
    };
    let shared = spec.share_process_namespace.unwrap_or(false);
    let own = if shared { NamespaceMode::Pod } else { NamespaceMode::Container };
    let mut options = NamespaceOption {
        network: node_if(spec.host_network, NamespaceMode::Pod).into(),
        pid: node_if(spec.host_pid, own).into(),
        ipc: node_if(spec.host_ipc, NamespaceMode::Pod).into(),
        target_id: String::new(),
    };
    if let Some(target) = target {
        options.pid = NamespaceMode::Target.into();
        options.target_id = target.to_owned();
    }
    options
}

/// The security context of a pod's sandbox.
pub(crate) fn of_sandbox(spec: &PodSpec) -> LinuxSandboxSecurityContext {
    let pod = spec.security_context.as_ref();
    let privileged = members::members(spec).any(|member| is_privileged(&member.container));
    LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(spec, None)),
        run_as_user: pod.and_then(|pod| pod.run_as_user).map(value),
        run_as_group: pod.and_then(|pod| pod.run_as_user.and(pod.run_as_group)).map(value),
        supplemental_groups: groups(pod),
        supplemental_groups_policy: groups_policy(pod),
        privileged,
        // The pause container is ours: it always gets the runtime's filter.
        seccomp: Some(SecurityProfile { profile_type: ProfileType::RuntimeDefault.into(), ..Default::default() }),
        ..LinuxSandboxSecurityContext::default()
    }
}

/// The security context of a container.
pub(crate) fn of_container(
    spec: &PodSpec,
    member: &Member,
    target: Option<&str>,
    seccomp_dir: &Path,
) -> LinuxContainerSecurityContext {
    let pod = spec.security_context.as_ref();
    let own = member.container.security_context.as_ref();
    let privileged = is_privileged(&member.container);
    let unmasked = privileged || own.and_then(|own| own.proc_mount.as_deref()) == Some("Unmasked");
    let paths = |paths: &[&str]| if unmasked { Vec::new() } else { paths.iter().map(|path| (*path).into()).collect() };
    LinuxContainerSecurityContext {
        capabilities: capabilities(own),
        privileged,
        namespace_options: Some(namespaces(spec, target)),
        run_as_user: run_as_user(spec, &member.container).map(value),
        run_as_group: own.and_then(|own| own.run_as_group).or(pod.and_then(|pod| pod.run_as_group)).map(value),
        readonly_rootfs: own.and_then(|own| own.read_only_root_filesystem).unwrap_or(false),
        supplemental_groups: groups(pod),
        supplemental_groups_policy: groups_policy(pod),
        no_new_privs: own.and_then(|own| own.allow_privilege_escalation) == Some(false),
        masked_paths: paths(&MASKED),
        readonly_paths: paths(&READ_ONLY),
        seccomp: Some(seccomp(privileged, own, pod, seccomp_dir)),
        ..LinuxContainerSecurityContext::default()
    }
}

/// Whether a container may do anything.
pub(crate) fn is_privileged(container: &Container) -> bool {
    container.security_context.as_ref().and_then(|context| context.privileged).unwrap_or(false)
}

/// The user that the spec asks for, if any.
pub(crate) fn run_as_user(spec: &PodSpec, container: &Container) -> Option<i64> {
    let own = container.security_context.as_ref().and_then(|own| own.run_as_user);
    own.or(spec.security_context.as_ref().and_then(|pod| pod.run_as_user))
}

/// Checks `runAsNonRoot` against the user of the spec or else of the image; `pod` and the container's
/// name are for the message.
pub(crate) fn check_non_root(spec: &PodSpec, container: &Container, image: &Image, pod: &str) -> Result<(), String> {
    let own = container.security_context.as_ref().and_then(|own| own.run_as_non_root);
    if !own.or(spec.security_context.as_ref().and_then(|pod| pod.run_as_non_root)).unwrap_or(false) {
        return Ok(());
    }
    let whose = format!("(pod: \"{pod}\", container: {})", container.name);
    match (run_as_user(spec, container), image.uid.as_ref(), image.username.as_str()) {
        (Some(0), _, _) => Err(format!("container's runAsUser breaks non-root policy {whose}")),
        (Some(_), _, _) => Ok(()),
        (None, Some(Int64Value { value: 0 }), _) | (None, None, "") => {
            Err(format!("container has runAsNonRoot and image will run as root {whose}"))
        }
        (None, Some(_), _) => Ok(()),
        (None, None, user) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {whose}"
        )),
    }
}

fn value(value: i64) -> Int64Value {
    Int64Value { value }
}

fn groups(pod: Option<&PodSecurityContext>) -> Vec<i64> {
    let Some(pod) = pod else { return Vec::new() };
    pod.supplemental_groups.iter().flatten().copied().chain(pod.fs_group).collect()
}

fn groups_policy(pod: Option<&PodSecurityContext>) -> i32 {
    match pod.and_then(|pod| pod.supplemental_groups_policy.as_deref()) {
        Some("Strict") => SupplementalGroupsPolicy::Strict.into(),
        _ => SupplementalGroupsPolicy::Merge.into(),
    }
}

fn capabilities(own: Option<&SecurityContext>) -> Option<Capability> {
    let capabilities = own?.capabilities.as_ref()?;
    // Both forms are in use; the runtime wants the short one.
    let short = |names: &Option<Vec<String>>| -> Vec<String> {
        names.iter().flatten().map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned()).collect()
    };
    Some(Capability {
        add_capabilities: short(&capabilities.add),
        drop_capabilities: short(&capabilities.drop),
        ..Capability::default()
    })
}

fn seccomp(
    privileged: bool,
    own: Option<&SecurityContext>,
    pod: Option<&PodSecurityContext>,
    dir: &Path,
) -> SecurityProfile {
    let wanted: Option<&SeccompProfile> =
        own.and_then(|own| own.seccomp_profile.as_ref()).or(pod.and_then(|pod| pod.seccomp_profile.as_ref()));
    let (profile_type, localhost_ref) = match wanted.filter(|_| !privileged) {
        Some(profile) if profile.type_ == "RuntimeDefault" => (ProfileType::RuntimeDefault, String::new()),
        Some(profile) if profile.type_ == "Localhost" => {
            let file = dir.join(profile.localhost_profile.as_deref().unwrap_or_default());
            (ProfileType::Localhost, file.to_string_lossy().into_owned())
        }
        _ => (ProfileType::Unconfined, String::new()),
    };
    SecurityProfile { profile_type: profile_type.into(), localhost_ref }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn non_root(context: Value, image: Image) -> Result<(), String> {
        let spec: PodSpec =
            serde_json::from_value(json!({"containers": [{"name": "c", "securityContext": context}]})).unwrap();
        check_non_root(&spec, &spec.containers[0], &image, "p_n(u)")
    }

    #[test]
    fn run_as_non_root_looks_at_the_image() {
        let uid = |value| Image { uid: Some(Int64Value { value }), ..Image::default() };
        let named = Image { username: "www".to_owned(), ..Image::default() };
        assert!(non_root(json!({}), uid(0)).is_ok());
        assert!(non_root(json!({"runAsNonRoot": true}), uid(1)).is_ok());
        assert!(non_root(json!({"runAsNonRoot": true, "runAsUser": 5}), uid(0)).is_ok());
        let cases = [
            (json!({"runAsNonRoot": true}), uid(0), "container has runAsNonRoot and image will run as root"),
            (json!({"runAsNonRoot": true}), named, "container has runAsNonRoot and image has non-numeric user (www)"),
            (json!({"runAsNonRoot": true, "runAsUser": 0}), uid(1), "container's runAsUser breaks non-root policy"),
        ];
        for (context, image, text) in cases {
            let message = non_root(context, image).unwrap_err();
            assert!(message.starts_with(text), "{message}");
        }
    }

    #[test]
    fn contexts_are_merged() {
        let spec: PodSpec = serde_json::from_value(json!({
            "hostNetwork": true,
            "securityContext": {"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]},
            "containers": [{"name": "c", "securityContext": {
                "runAsUser": 9, "allowPrivilegeEscalation": false, "procMount": "Unmasked",
                "capabilities": {"add": ["CAP_NET_ADMIN"], "drop": ["ALL"]},
                "seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"},
            }}],
        }))
        .unwrap();
        let member = members::find(&spec, "c").unwrap();
        let context = of_container(&spec, &member, None, Path::new("/s"));
        assert_eq!(context.run_as_user, Some(value(9)));
        assert_eq!(context.run_as_group, Some(value(2)));
        assert_eq!(context.supplemental_groups, [4, 3]);
        assert!(context.no_new_privs && context.masked_paths.is_empty());
        assert_eq!(context.capabilities.unwrap().add_capabilities, ["NET_ADMIN"]);
        assert_eq!(context.seccomp.unwrap().localhost_ref, "/s/p.json");
        assert_eq!(context.namespace_options.unwrap().network, i32::from(NamespaceMode::Node));
    }
}
