//! Upgrades (`SM08xx`): what works today and would not with the version that is aimed at.

rules! {
    removed_api_applied,
    removed_api_in_release,
    cri_v1_missing,
    containerd_too_old_for_target,
    cgroup_v1_refused,
    kubelet_flag_gone,
    legacy_registry,
    version_skew_too_wide,
    containerd_config_to_migrate,
}

mod target;
