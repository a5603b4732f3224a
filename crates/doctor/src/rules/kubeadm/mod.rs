//! kubeadm (`SM03xx`): init, join, upgrade.

pub(in crate::rules) mod output;

rules! {
    preflight_already_initialised,
    preflight_br_netfilter_ip_forward,
    preflight_resources_too_small,
    api_server_unreachable,
    join_ca_hash_malformed,
    join_ca_hash_mismatch,
    join_token_expired,
    join_token_not_signed,
    kubeadm_version_skew,
    kubeadm_coredns_image_path,
    upgrade_coredns_plugins_unsupported,
    upgrade_health_check_unschedulable,
}
