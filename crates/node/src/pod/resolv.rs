//! A pod's /etc/resolv.conf, by its DNS policy.

use cri::v1::DnsConfig;
use k8s_openapi::api::core::v1::PodSpec;

use crate::config::Config;

/// The kernel's resolver libraries honour so many.
const SERVERS: usize = 3;
/// What Kubernetes allows.
const SEARCHES: usize = 32;

/// The DNS configuration of a pod; `host` is the text of the node's own resolv.conf.
pub(crate) fn config(config: &Config, spec: &PodSpec, namespace: &str, host: &str) -> DnsConfig {
    let host_network = spec.host_network.unwrap_or(false);
    let mut dns = match (spec.dns_policy.as_deref().unwrap_or("ClusterFirst"), host_network) {
        ("None", _) => DnsConfig::default(),
        ("ClusterFirstWithHostNet", _) | ("ClusterFirst", false) => cluster(config, namespace, host),
        _ => parse(host),
    };
    if let Some(own) = &spec.dns_config {
        append(&mut dns.servers, own.nameservers.iter().flatten());
        append(&mut dns.searches, own.searches.iter().flatten());
        for option in own.options.iter().flatten() {
            let Some(name) = &option.name else { continue };
            let text = option.value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}:{value}"));
            dns.options.retain(|other| other.split(':').next() != Some(name));
            dns.options.push(text);
        }
    }
    dns.servers.truncate(SERVERS);
    dns.searches.truncate(SEARCHES);
    dns
}

fn cluster(config: &Config, namespace: &str, host: &str) -> DnsConfig {
    let domain = &config.cluster_domain;
    let mut searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
    append(&mut searches, parse(host).searches.iter());
    DnsConfig { servers: vec![config.cluster_dns.to_string()], searches, options: vec!["ndots:5".to_owned()] }
}

fn append<'a>(list: &mut Vec<String>, more: impl Iterator<Item = &'a String>) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// resolv.conf(5); of several `search` or `options` lines the last counts.
fn parse(text: &str) -> DnsConfig {
    let mut dns = DnsConfig::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let key = words.next();
        let rest: Vec<_> = words.map(str::to_owned).collect();
        match key {
            Some("nameserver") => dns.servers.extend(rest.into_iter().take(1)),
            Some("search") => dns.searches = rest.into_iter().filter(|search| search != ".").collect(),
            Some("options") => dns.options = rest,
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    const HOST: &str = "nameserver 1.1.1.1\n# x\nsearch lan .\noptions edns0\n";

    fn check(spec: Value, expected: Value) {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let dns = config(&testing::config(), &spec, "ns", HOST);
        assert_eq!(json!([dns.servers, dns.searches, dns.options]), expected);
    }

    #[test]
    fn policies() {
        let cluster = json!(["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan"]);
        check(json!({}), json!([["10.96.0.10"], cluster, ["ndots:5"]]));
        check(json!({"hostNetwork": true}), json!([["1.1.1.1"], ["lan"], ["edns0"]]));
        check(
            json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}),
            json!([["10.96.0.10"], cluster, ["ndots:5"]]),
        );
        check(json!({"dnsPolicy": "Default"}), json!([["1.1.1.1"], ["lan"], ["edns0"]]));
        check(
            json!({"dnsPolicy": "None", "dnsConfig": {
                "nameservers": ["9.9.9.9"], "searches": ["x.y"], "options": [{"name": "ndots", "value": "2"}],
            }}),
            json!([["9.9.9.9"], ["x.y"], ["ndots:2"]]),
        );
        check(
            json!({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}, {"name": "edns0"}]}}),
            json!([["10.96.0.10"], cluster, ["ndots:1", "edns0"]]),
        );
    }
}
