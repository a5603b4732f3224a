//! Workloads, scheduling, storage (`SM06xx`).

mod absent;
mod claims;
mod cluster;
mod references;
mod scheduling;
mod subjects;

rules! {
    oom_killed,
    liveness_probe_failing,
    process_exits_normally,
    entrypoint_not_found,
    exec_format_error_arch,
    secret_missing,
    secret_key_missing,
    configmap_missing,
    configmap_key_missing,
    kubelet_object_cache_stale,
    insufficient_resources,
    control_plane_taint,
    node_not_ready,
    node_disk_pressure,
    pvc_no_storageclass,
    pvc_storageclass_not_found,
    pvc_provisioner_missing,
    nfs_client_missing,
    service_selects_no_pods,
    service_target_port_missing,
    disruption_budget_blocks_evictions,
    node_pressure,
    autoscaler_without_metrics,
    container_crashes,
    claim_missing,
    taint_not_tolerated,
    rollout_stuck,
    ingress_backend_missing,
    certificate_request_pending,
    dns_loop,
}
