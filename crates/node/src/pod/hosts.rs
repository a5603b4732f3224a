//! A pod's /etc/hosts, which the node writes, because containers would share the machine's otherwise.

use k8s_openapi::api::core::v1::PodSpec;

/// The text for a pod with its own network; `fqdn` is `HOSTNAME.SUBDOMAIN.NAMESPACE.svc.DOMAIN` for a
/// pod with a subdomain.
pub(crate) fn own_network(spec: &PodSpec, ips: &[String], hostname: &str, fqdn: Option<&str>) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    for ip in ips {
        match fqdn {
            Some(fqdn) => text.push_str(&format!("{ip}\t{fqdn}\t{hostname}\n")),
            None => text.push_str(&format!("{ip}\t{hostname}\n")),
        }
    }
    text.push_str(&aliases(spec));
    text
}

/// The text for a pod on the host's network: the node's own file, and the pod's aliases.
pub(crate) fn host_network(spec: &PodSpec, host: &str) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{host}{}", aliases(spec))
}

fn aliases(spec: &PodSpec) -> String {
    let mut text = String::new();
    for alias in spec.host_aliases.iter().flatten() {
        if text.is_empty() {
            text.push_str("\n# Entries added by HostAliases.\n");
        }
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        text.push_str(&format!("{}\t{names}\n", alias.ip));
    }
    text
}

/// The host name of a pod, and its name in full if it has a subdomain. On the host's network it is the
/// node's.
pub(crate) fn names(spec: &PodSpec, pod: &str, namespace: &str, domain: &str) -> (String, Option<String>) {
    let short = spec.hostname.as_deref().filter(|name| !name.is_empty()).unwrap_or(pod);
    // Linux allows 64 bytes, Kubernetes cuts names at 63.
    let short: String = short.chars().take(63).collect();
    let short = short.trim_end_matches(['-', '.']).to_owned();
    if let Some(name) = spec.hostname_override.as_deref().filter(|name| !name.is_empty()) {
        return (name.to_owned(), None);
    }
    let subdomain = spec.subdomain.as_deref().filter(|subdomain| !subdomain.is_empty());
    let fqdn = subdomain.map(|subdomain| format!("{short}.{subdomain}.{namespace}.svc.{domain}"));
    match &fqdn {
        Some(full) if spec.set_hostname_as_fqdn.unwrap_or(false) => (full.clone(), fqdn),
        _ => (short, fqdn),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_aliases() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [], "subdomain": "s", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}],
        }))
        .unwrap();
        let (hostname, fqdn) = names(&spec, "web-0", "ns", "cluster.local");
        assert_eq!((hostname.as_str(), fqdn.as_deref()), ("web-0", Some("web-0.s.ns.svc.cluster.local")));
        let text = own_network(&spec, &["10.0.0.2".to_owned()], &hostname, fqdn.as_deref());
        assert!(text.contains("\n10.0.0.2\tweb-0.s.ns.svc.cluster.local\tweb-0\n"), "{text}");
        assert!(text.ends_with("# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"), "{text}");
    }
}
