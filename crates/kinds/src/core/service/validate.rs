//! What makes a service wrong.

use std::collections::BTreeSet;

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use crate::checks;

/// Ports that nodes open for services.
const NODE_PORTS: std::ops::RangeInclusive<i32> = 30_000..=32_767;

fn kind(spec: &ServiceSpec) -> &str {
    spec.type_.as_deref().unwrap_or_default()
}

fn headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ips.as_deref().is_some_and(|addresses| addresses == ["None"])
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// Reports everything that is wrong.
pub fn validate(service: &Service, old: Option<&Service>, errors: &mut FieldErrors) {
    let absent = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&absent);
    let path = Path::new("spec");
    if let Some(old) = old.map(|old| old.spec.as_ref().unwrap_or(&absent)) {
        update(spec, old, &path, errors);
    }
    by_type(spec, &path, errors);
    ports(spec, &path.child("ports"), errors);
    checks::labels(errors, &path.child("selector"), spec.selector.as_ref());
    affinity(spec, &path, errors);
    addresses(spec, &path, errors);
    for (index, address) in spec.external_ips.iter().flatten().enumerate() {
        checks::usable_ip(errors, &path.child("externalIPs").index(index), address);
    }
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    checks::one_of(errors, &path.child("type"), spec.type_.as_deref(), &types);
    balancer(spec, &path, errors);
    traffic(spec, &path, errors);
}

fn by_type(spec: &ServiceSpec, path: &Path, errors: &mut FieldErrors) {
    if spec.ports.as_ref().is_none_or(Vec::is_empty) && !headless(spec) && kind(spec) != "ExternalName" {
        errors.required(&path.child("ports"), "");
    }
    match kind(spec) {
        kind @ ("LoadBalancer" | "NodePort") if headless(spec) => {
            let why = format!("may not be set to 'None' for {kind} services");
            errors.invalid(&path.child("clusterIPs").index(0), "None", &why);
        }
        "ExternalName" => {
            for (field, set) in [
                ("clusterIPs", spec.cluster_ips.as_ref().is_some_and(|list| !list.is_empty())),
                ("ipFamilies", spec.ip_families.as_ref().is_some_and(|list| !list.is_empty())),
                ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
            ] {
                if set {
                    errors.forbidden(&path.child(field), "may not be set for ExternalName services");
                }
            }
            // The name may end in a dot: it is then complete.
            let name = spec.external_name.as_deref().map(|name| name.strip_suffix('.').unwrap_or(name));
            checks::required_name(errors, &path.child("externalName"), name, checks::SUBDOMAIN);
        }
        _ => {}
    }
}

fn ports(spec: &ServiceSpec, path: &Path, errors: &mut FieldErrors) {
    let ports = spec.ports.as_deref().unwrap_or_default();
    let mut names = BTreeSet::new();
    for (index, one) in ports.iter().enumerate() {
        port(one, ports.len() > 1, &mut names, &path.index(index), errors);
    }
    let (mut numbers, mut node_ports) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let node_path = path.child("nodePort");
        if let Some(number) = port.node_port.filter(|number| *number != 0) {
            if kind(spec) == "ClusterIP" {
                errors.forbidden(&node_path, "may not be used when `type` is 'ClusterIP'");
            } else if !NODE_PORTS.contains(&number) {
                let (low, high) = (NODE_PORTS.start(), NODE_PORTS.end());
                let why = format!("provided port is not in the valid range. The range of valid ports is {low}-{high}");
                errors.invalid(&node_path, number, &why);
            }
            if !node_ports.insert((&port.protocol, number)) {
                errors.duplicate(&node_path, number);
            }
        }
        if !numbers.insert((&port.protocol, port.port)) {
            let shown = serde_json::json!({ "protocol": port.protocol, "port": port.port });
            errors.duplicate(&path, shown);
        }
    }
}

fn port<'a>(port: &'a ServicePort, named: bool, names: &mut BTreeSet<&'a str>, path: &Path, errors: &mut FieldErrors) {
    match given(&port.name) {
        None if named => errors.required(&path.child("name"), ""),
        None => {}
        Some(name) => {
            checks::name(errors, &path.child("name"), name, checks::LABEL);
            if !names.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
        }
    }
    checks::port(errors, &path.child("port"), port.port);
    checks::protocol(errors, &path.child("protocol"), port.protocol.as_deref());
    if let Some(target) = &port.target_port {
        checks::port_or_name(errors, &path.child("targetPort"), target);
    }
    if let Some(protocol) = &port.app_protocol {
        checks::name(errors, &path.child("appProtocol"), protocol, checks::QUALIFIED);
    }
}

fn affinity(spec: &ServiceSpec, path: &Path, errors: &mut FieldErrors) {
    const LONGEST: i32 = 86_400;
    let affinity = spec.session_affinity.as_deref();
    checks::one_of(errors, &path.child("sessionAffinity"), affinity, &["ClientIP", "None"]);
    let path = path.child("sessionAffinityConfig");
    let config = spec.session_affinity_config.as_ref();
    match affinity {
        Some("None") if config.is_some() => {
            errors.forbidden(&path, "must not be set when session affinity is None");
        }
        Some("ClientIP") => {
            const WHEN: &str = "when session affinity type is ClientIP";
            let Some(config) = config else { return errors.required(&path, WHEN) };
            let path = path.child("clientIP");
            let Some(client) = &config.client_ip else { return errors.required(&path, WHEN) };
            let path = path.child("timeoutSeconds");
            match client.timeout_seconds {
                None => errors.required(&path, WHEN),
                Some(1..=LONGEST) => {}
                Some(seconds) => {
                    errors.invalid(&path, seconds, &format!("must be greater than 0 and less than {LONGEST}"));
                }
            }
        }
        _ => {}
    }
}

fn addresses(spec: &ServiceSpec, path: &Path, errors: &mut FieldErrors) {
    if kind(spec) == "ExternalName" {
        return;
    }
    let list = spec.cluster_ips.as_deref().unwrap_or_default();
    let list_path = path.child("clusterIPs");
    match (given(&spec.cluster_ip), list.first()) {
        (Some(_), None) => errors.required(&list_path, ""),
        (Some(one), Some(first)) if one != first => {
            errors.invalid(&list_path, list, "first value must match `clusterIP`");
        }
        (None, Some(_)) => errors.invalid(&list_path, list, "must be empty when `clusterIP` is not specified"),
        _ => {}
    }
    let families = spec.ip_families.as_deref().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for (index, family) in families.iter().enumerate() {
        let path = path.child("ipFamilies").index(index);
        if !["IPv4", "IPv6"].contains(&family.as_str()) {
            errors.not_supported(&path, family.as_str(), &["IPv4", "IPv6"]);
        }
        if !seen.insert(family) {
            errors.duplicate(&path, family.as_str());
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    checks::maybe_one_of(errors, &path.child("ipFamilyPolicy"), spec.ip_family_policy.as_deref(), &policies);
    if list.first().is_some_and(|first| first == "None") {
        if list.len() > 1 {
            errors.invalid(&list_path, list, "'None' must be the first and only value");
        }
        return;
    }
    for (index, address) in list.iter().enumerate() {
        let path = list_path.index(index);
        let Some(parsed) = checks::ip(errors, &path, address) else { continue };
        match families.get(index).map(String::as_str) {
            Some("IPv4") if parsed.is_ipv6() => {
                let why = format!("expected an IPv4 value as indicated by `ipFamilies[{index}]`");
                errors.invalid(&path, address.as_str(), &why);
            }
            Some("IPv6") if parsed.is_ipv4() => {
                let why = format!("expected an IPv6 value as indicated by `ipFamilies[{index}]`");
                errors.invalid(&path, address.as_str(), &why);
            }
            _ => {}
        }
    }
    if list.len() > 2 {
        errors.invalid(&list_path, list, "may only hold up to 2 values");
    }
}

fn balancer(spec: &ServiceSpec, path: &Path, errors: &mut FieldErrors) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let is_balancer = kind(spec) == "LoadBalancer";
    let ranges = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    // The path is spelled like the field of the Go type.
    let ranges_path = path.child("LoadBalancerSourceRanges");
    if !ranges.is_empty() && !is_balancer {
        errors.forbidden(&ranges_path, ONLY);
    }
    for (index, range) in ranges.iter().enumerate() {
        checks::cidr(errors, &ranges_path.index(index), range.trim());
    }
    if spec.allocate_load_balancer_node_ports.is_some() && !is_balancer {
        errors.forbidden(&path.child("allocateLoadBalancerNodePorts"), ONLY);
    }
    if let Some(class) = &spec.load_balancer_class {
        let path = path.child("loadBalancerClass");
        if is_balancer {
            checks::name(errors, &path, class, checks::QUALIFIED);
        } else {
            errors.forbidden(&path, ONLY);
        }
    }
}

fn traffic(spec: &ServiceSpec, path: &Path, errors: &mut FieldErrors) {
    let external_ips = spec.external_ips.as_ref().is_some_and(|list| !list.is_empty());
    let reachable = match kind(spec) {
        "NodePort" | "LoadBalancer" => true,
        "ClusterIP" => external_ips,
        _ => false,
    };
    let policy_path = path.child("externalTrafficPolicy");
    let policy = given(&spec.external_traffic_policy);
    if reachable {
        checks::one_of(errors, &policy_path, policy, &["Cluster", "Local"]);
    } else if let Some(policy) = policy {
        errors.invalid(&policy_path, policy, "may only be set for externally-accessible services");
    }
    let checked = kind(spec) == "LoadBalancer" && policy == Some("Local");
    if let Some(number) = spec.health_check_node_port.filter(|number| *number != 0) {
        let path = path.child("healthCheckNodePort");
        if checked {
            checks::port(errors, &path, number);
        } else {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.invalid(&path, number, why);
        }
    }
    let internal = spec.internal_traffic_policy.as_deref();
    checks::maybe_one_of(errors, &path.child("internalTrafficPolicy"), internal, &["Cluster", "Local"]);
    let distributions = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    let distribution = spec.traffic_distribution.as_deref();
    checks::maybe_one_of(errors, &path.child("trafficDistribution"), distribution, &distributions);
}

/// The first address, and its family, belong to the service for as long as it has one.
fn update(spec: &ServiceSpec, old: &ServiceSpec, path: &Path, errors: &mut FieldErrors) {
    const STAYS: &str = "may not change once set";
    if kind(spec) == "LoadBalancer" && kind(old) == "LoadBalancer" {
        if spec.load_balancer_class != old.load_balancer_class {
            let class = spec.load_balancer_class.as_deref();
            errors.invalid(&path.child("loadBalancerClass"), class, STAYS);
        }
        let checked = |spec: &ServiceSpec| spec.external_traffic_policy.as_deref() == Some("Local");
        if checked(spec) && checked(old) && spec.health_check_node_port != old.health_check_node_port {
            errors.forbidden(&path.child("healthCheckNodePort"), "field is immutable");
        }
    }
    if kind(spec) == "ExternalName" || kind(old) == "ExternalName" || headless(spec) && headless(old) {
        return;
    }
    let lists = [("clusterIPs", &spec.cluster_ips, &old.cluster_ips)]
        .into_iter()
        .chain((headless(spec) == headless(old)).then_some(("ipFamilies", &spec.ip_families, &old.ip_families)));
    for (field, new, before) in lists {
        let new = new.as_deref().unwrap_or_default();
        let before = before.as_deref().unwrap_or_default();
        let path = path.child(field).index(0);
        match (new.first(), before.first()) {
            (None, Some(_)) if field == "clusterIPs" => {
                errors.invalid(&path, new, "primary clusterIP can not be unset");
            }
            (Some(now), Some(then)) if now != then => errors.invalid(&path, new, STAYS),
            _ => {}
        }
    }
}
