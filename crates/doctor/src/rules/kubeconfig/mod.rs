//! Clients (`SM04xx`): kubectl, Helm, and the kubeconfig they read.

mod client;
mod login;

rules! {
    kubeconfig_not_found,
    kubeconfig_context_cluster_mismatch,
    kubeconfig_context_missing,
    kubeconfig_yaml_invalid,
    kubeconfig_server_whitespace,
    kubeconfig_permission_denied,
    kubeconfig_stale_ca,
    kubeconfig_client_cert_expired,
    token_expired,
    exec_plugin_wrong_identity,
    exec_plugin_api_removed,
    exec_plugin_version_mismatch,
    apiserver_cert_san_missing,
    client_clock_skew,
    kubeconfig_exec_plugin_missing,
    kubeconfig_server_unknown_host,
    kubeconfig_context_duplicate,
    kubeconfig_server_scheme_missing,
    kubeconfig_certificate_data_invalid,
    apiserver_cert_expired,
}
