//! The variables by which a container finds services without DNS.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;

/// The variables for a pod of `namespace`: of the API server always, of the namespace's other services
/// if `links`.
pub(crate) fn variables(services: &[Arc<Service>], namespace: &str, links: bool) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let is_api = |service: &Service| {
        service.metadata.namespace.as_deref() == Some("default")
            && service.metadata.name.as_deref() == Some("kubernetes")
    };
    // The namespace's own services come last: one named like the API server's wins.
    for service in services.iter().filter(|service| is_api(service)) {
        add(service, &mut variables);
    }
    for service in services.iter().filter(|_| links) {
        if service.metadata.namespace.as_deref() == Some(namespace) {
            add(service, &mut variables);
        }
    }
    variables
}

fn add(service: &Service, variables: &mut BTreeMap<String, String>) {
    let Some(spec) = &service.spec else { return };
    let Some(ip) = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None") else { return };
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports.first() else { return };
    let name = variable_name(service.metadata.name.as_deref().unwrap_or_default());
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    variables.insert(format!("{name}_SERVICE_HOST"), ip.to_owned());
    variables.insert(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        let number = port.port;
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            variables.insert(format!("{name}_SERVICE_PORT_{}", variable_name(port_name)), number.to_string());
        }
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{host}:{number}", protocol.to_lowercase());
        let prefix = format!("{name}_PORT_{number}_{protocol}");
        if std::ptr::eq(port, first) {
            variables.insert(format!("{name}_PORT"), url.clone());
        }
        variables.insert(prefix.clone(), url);
        variables.insert(format!("{prefix}_PROTO"), protocol.to_lowercase());
        variables.insert(format!("{prefix}_PORT"), number.to_string());
        variables.insert(format!("{prefix}_ADDR"), ip.to_owned());
    }
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(namespace: &str, name: &str, ip: &str) -> Arc<Service> {
        let value = json!({
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"clusterIP": ip, "ports": [{"name": "web-1", "port": 80}]},
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn services_of_the_namespace_and_the_api_server() {
        let services = [
            service("default", "kubernetes", "10.96.0.1"),
            service("a", "my-db", "10.96.0.7"),
            service("a", "headless", "None"),
            service("b", "other", "10.96.0.8"),
        ];
        let all = variables(&services, "a", true);
        let expected = [
            ("MY_DB_SERVICE_HOST", "10.96.0.7"),
            ("MY_DB_SERVICE_PORT", "80"),
            ("MY_DB_SERVICE_PORT_WEB_1", "80"),
            ("MY_DB_PORT", "tcp://10.96.0.7:80"),
            ("MY_DB_PORT_80_TCP", "tcp://10.96.0.7:80"),
            ("MY_DB_PORT_80_TCP_PROTO", "tcp"),
            ("MY_DB_PORT_80_TCP_PORT", "80"),
            ("MY_DB_PORT_80_TCP_ADDR", "10.96.0.7"),
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        ];
        for (name, value) in expected {
            assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(all.len(), 16);
        assert_eq!(variables(&services, "a", false).len(), 8);
    }
}
