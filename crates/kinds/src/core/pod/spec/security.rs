//! Security contexts of pods and containers.

use std::collections::BTreeSet;

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::{AppArmorProfile, Container, PodSpec, SeccompProfile};

use super::{Whole, local_path};
use crate::checks;

/// Kinds of profiles, of seccomp and AppArmor alike.
const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

fn id(errors: &mut FieldErrors, path: &Path, id: Option<i64>) {
    if let Some(id) = id {
        checks::within(errors, path, id, 0, i32::MAX.into());
    }
}

/// The security context of a pod, with what else of the pod touches the host.
pub fn pod(spec: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    let context_path = path.child("securityContext");
    if let Some(context) = &spec.security_context {
        id(errors, &context_path.child("fsGroup"), context.fs_group);
        id(errors, &context_path.child("runAsUser"), context.run_as_user);
        id(errors, &context_path.child("runAsGroup"), context.run_as_group);
        for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
            id(errors, &context_path.child("supplementalGroups").index(index), Some(*group));
        }
        for (field, value, known) in [
            ("fsGroupChangePolicy", &context.fs_group_change_policy, ["Always", "OnRootMismatch"]),
            ("supplementalGroupsPolicy", &context.supplemental_groups_policy, ["Merge", "Strict"]),
            ("seLinuxChangePolicy", &context.se_linux_change_policy, ["MountOption", "Recursive"]),
        ] {
            checks::maybe_one_of(errors, &context_path.child(field), value.as_deref(), &known);
        }
        seccomp(context.seccomp_profile.as_ref(), &context_path.child("seccompProfile"), errors);
        app_armor(context.app_armor_profile.as_ref(), &context_path.child("appArmorProfile"), errors);
        sysctls(spec, &context_path.child("sysctls"), errors);
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(&context_path.child("shareProcessNamespace"), true, why);
    }
    if spec.host_users == Some(false) {
        for (field, on) in [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)]
        {
            if on == Some(true) {
                errors.forbidden(&path.child(field), "when `pod.Spec.HostUsers` is false");
            }
        }
    }
}

fn sysctls(spec: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    let context = spec.security_context.as_ref();
    for (index, sysctl) in context.and_then(|context| context.sysctls.as_ref()).into_iter().flatten().enumerate() {
        let path = path.index(index).child("name");
        let name = sysctl.name.as_str();
        let segment = |segment: &str| {
            let middle = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
            let end = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            segment.bytes().all(middle) && end(segment.bytes().next()) && end(segment.bytes().last())
        };
        if name.is_empty() {
            errors.required(&path, "");
        } else if name.len() > 253 || !name.split(['.', '/']).all(segment) {
            let why = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.invalid(&path, name, why);
        } else if !seen.insert(name) {
            errors.duplicate(&path, name);
        }
        if spec.host_network == Some(true) && name.starts_with("net.") {
            errors.invalid(&path, name, "may not be specified when 'hostNetwork' is true");
        }
        let of_ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| name.starts_with(prefix));
        if spec.host_ipc == Some(true) && (of_ipc || name == "kernel.sem") {
            errors.invalid(&path, name, "may not be specified when 'hostIPC' is true");
        }
    }
}

/// The security context of a container.
pub fn container(whole: &Whole<'_>, container: &Container, path: &Path, errors: &mut FieldErrors) {
    let Some(context) = &container.security_context else { return };
    id(errors, &path.child("runAsUser"), context.run_as_user);
    id(errors, &path.child("runAsGroup"), context.run_as_group);
    checks::maybe_one_of(errors, &path.child("procMount"), context.proc_mount.as_deref(), &["Default", "Unmasked"]);
    if whole.host_users() && context.proc_mount.as_deref() == Some("Unmasked") {
        errors.invalid(&path.child("procMount"), "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    }
    seccomp(context.seccomp_profile.as_ref(), &path.child("seccompProfile"), errors);
    if context.allow_privilege_escalation == Some(false) {
        if context.privileged == Some(true) {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.invalid(path, checks::json(context), why);
        }
        let added = context.capabilities.as_ref().and_then(|capabilities| capabilities.add.as_ref());
        if added.is_some_and(|added| added.iter().any(|capability| capability == "CAP_SYS_ADMIN")) {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.invalid(path, checks::json(context), why);
        }
    }
    app_armor(context.app_armor_profile.as_ref(), &path.child("appArmorProfile"), errors);
}

fn seccomp(profile: Option<&SeccompProfile>, path: &Path, errors: &mut FieldErrors) {
    let Some(profile) = profile else { return };
    match profile.type_.as_str() {
        "" => errors.required(&path.child("type"), "type is required when seccompProfile is set"),
        kind if PROFILES.contains(&kind) => {}
        kind => errors.not_supported(&path.child("type"), kind, PROFILES),
    }
    let path_of_file = path.child("localhostProfile");
    match (profile.type_ == "Localhost", &profile.localhost_profile) {
        (true, None) => errors.required(&path_of_file, "must be set when seccomp type is Localhost"),
        (true, Some(file)) => local_path(file, &path_of_file, errors),
        (false, Some(file)) => {
            errors.invalid(&path_of_file, file.as_str(), "can only be set when seccomp type is Localhost");
        }
        (false, None) => {}
    }
}

fn app_armor(profile: Option<&AppArmorProfile>, path: &Path, errors: &mut FieldErrors) {
    let Some(profile) = profile else { return };
    let path_of_file = path.child("localhostProfile");
    match (profile.type_.as_str(), profile.localhost_profile.as_deref()) {
        ("Localhost", None | Some("")) => {
            errors.required(&path_of_file, "must be set when AppArmor type is Localhost");
        }
        ("Localhost", Some(file)) if file.trim() != file => {
            errors.invalid(&path_of_file, file, "must not be padded with whitespace");
        }
        ("RuntimeDefault" | "Unconfined", Some(file)) => {
            errors.invalid(&path_of_file, file, "can only be set when AppArmor type is Localhost");
        }
        ("", _) => errors.required(&path.child("type"), "type is required when appArmorProfile is set"),
        (kind, _) if !PROFILES.contains(&kind) => errors.not_supported(&path.child("type"), kind, PROFILES),
        _ => {}
    }
}
