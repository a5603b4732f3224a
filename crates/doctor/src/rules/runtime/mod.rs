//! The node (`SM02xx`): container runtime, kubelet, pod network.

mod cni;
mod config_file;
mod cri;

rules! {
    xfs_ftype_0,
    cri_plugin_disabled,
    cri_plugin_not_loaded,
    cri_mirrors_with_config_path,
    cri_systemd_cgroup_wrong_place,
    cri_default_runtime_undefined,
    cri_snapshotter_unknown,
    containerd_too_old,
    cri_dockerd_too_old,
    crictl_too_old,
    crictl_runtime_version_skew,
    crictl_endpoint_not_set,
    overlay_module_missing,
    overlay_unsupported_backing_fs,
    containerd_config_syntax,
    containerd_config_duplicate_table,
    containerd_config_wrong_type,
    containerd_config_version_mismatch,
    runtime_socket_absent,
    runtime_socket_permission,
    cgroup_driver_mismatch,
    cgroup_systemd_not_available,
    kubelet_flag_removed,
    kubelet_client_cert_expired,
    kubelet_config_missing_before_init,
    swap_enabled,
    pleg_runtime_hung,
    runtime_request_too_slow,
    seccomp_bpf_jit_limit,
    cni_config_missing,
    cni_config_invalid,
    cni_load_status_stale,
    cni_plugin_binary_missing,
    flannel_subnet_env_missing,
    image_without_path_env,
}
