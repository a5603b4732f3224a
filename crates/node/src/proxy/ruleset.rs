//! A [`Table`] as text for `nft -f -`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::table::{Entry, HostPort, Port, Protocol, Table, Target};

/// Mark of packets whose source has to become the node, so that answers come back through it.
const MASQUERADE: &str = "0x4000";

/// Which addresses belong to the cluster, and which of them are this node's pods.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Pods of this node.
    pub pods: String,
    /// Pods of all nodes.
    pub all_pods: String,
    /// Cluster IPs.
    pub services: String,
}

/// The whole table, in place of the one before: `nft -f -` applies it in one transaction.
pub fn ruleset(table: &Table, addresses: &Addresses) -> String {
    // `delete` fails on a missing table, so it is made first; both happen inside the transaction.
    let mut text = String::from("table ip shipmate\ndelete table ip shipmate\ntable ip shipmate {\n");
    elements(&mut text, table);
    hooks(&mut text, addresses);
    for (number, port) in table.ports.iter().enumerate() {
        chains(&mut text, number, port);
    }
    for (number, port) in table.host_ports.iter().enumerate() {
        let _infallible = writeln!(
            text,
            "  chain host-{number} {{\n    meta mark set meta mark or {MASQUERADE}\n    {}\n  }}",
            dnat(port.protocol, &[port.target], false)
        );
    }
    text.push_str("}\n");
    text
}

fn elements(text: &mut String, table: &Table) {
    let (mut services, mut nodes, mut refused, mut dropped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut refused_nodes, mut targets) = (Vec::new(), BTreeSet::new());
    let mut seen = BTreeSet::new();
    for (number, port) in table.ports.iter().enumerate() {
        let protocol = port.protocol.nft();
        for address in &port.addresses {
            if !seen.insert((Some(*address), port.protocol, port.port)) {
                continue; // Two services claim the same external address and port: the first has it.
            }
            let key = format!("{address} . {protocol} . {}", port.port);
            match reaction(&port.inside) {
                Reaction::Serve => services.push(format!("{key} : goto svc-{number}")),
                Reaction::Refuse => refused.push(key),
                Reaction::Drop => dropped.push(key),
            }
        }
        if let Some(node_port) = port.node_port
            && seen.insert((None, port.protocol, node_port))
        {
            match reaction(&port.outside) {
                Reaction::Serve => nodes.push(format!("{protocol} . {node_port} : goto node-{number}")),
                Reaction::Refuse => refused_nodes.push(format!("{protocol} . {node_port}")),
                Reaction::Drop => {} // Nobody listens there: the node itself refuses.
            }
        }
        targets.extend(port.inside.targets.iter().chain(&port.outside.targets).map(|target| target.0));
    }
    for (number, port) in table.host_ports.iter().enumerate() {
        targets.insert(port.target.0);
        match port.address {
            Some(address) => {
                services.push(format!("{address} . {} . {} : goto host-{number}", port.protocol.nft(), port.port));
            }
            None if seen.insert((None, port.protocol, port.port)) => nodes.push(host_element(number, port)),
            None => {}
        }
    }
    let same: Vec<String> = targets.iter().map(|address| format!("{address} . {address}")).collect();
    set(text, "map services { type ipv4_addr . inet_proto . inet_service : verdict", &services);
    set(text, "map node-ports { type inet_proto . inet_service : verdict", &nodes);
    set(text, "set refused { type ipv4_addr . inet_proto . inet_service", &refused);
    set(text, "set refused-node-ports { type inet_proto . inet_service", &refused_nodes);
    set(text, "set dropped { type ipv4_addr . inet_proto . inet_service", &dropped);
    set(text, "set hairpins { type ipv4_addr . ipv4_addr", &same);
}

fn host_element(number: usize, port: &HostPort) -> String {
    format!("{} . {} : goto host-{number}", port.protocol.nft(), port.port)
}

enum Reaction {
    Serve,
    Refuse,
    Drop,
}

fn reaction(entry: &Entry) -> Reaction {
    match (entry.targets.is_empty(), entry.elsewhere) {
        (false, _) => Reaction::Serve,
        (true, false) => Reaction::Refuse,
        (true, true) => Reaction::Drop,
    }
}

fn set(text: &mut String, head: &str, elements: &[String]) {
    text.push_str("  ");
    text.push_str(head);
    text.push_str(";\n");
    if !elements.is_empty() {
        let _infallible = writeln!(text, "    elements = {{ {} }};", elements.join(", "));
    }
    text.push_str("  }\n");
}

fn hooks(text: &mut String, addresses: &Addresses) {
    let Addresses { pods, all_pods, services } = addresses;
    let _infallible = write!(
        text,
        "  chain balance {{
    ip daddr {services} jump from-outside
    ip daddr . meta l4proto . th dport vmap @services
    fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @node-ports
  }}
  chain from-outside {{
    fib saddr type != local ip saddr != {all_pods} meta mark set meta mark or {MASQUERADE}
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    jump balance
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    jump balance
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    meta mark & {MASQUERADE} != 0 meta mark set meta mark & 0xffffbfff masquerade fully-random
    ip saddr . ip daddr @hairpins ct status dnat masquerade fully-random
    ip saddr {pods} ip daddr != {{ {all_pods}, {services}, 224.0.0.0/4 }} masquerade fully-random
  }}
  chain refuse {{
    ip daddr . meta l4proto . th dport @dropped drop
    ip daddr . meta l4proto . th dport @refused reject with icmp type port-unreachable
    fib daddr type local meta l4proto . th dport @refused-node-ports reject with icmp type port-unreachable
  }}
  chain filter-input {{
    type filter hook input priority 0; policy accept;
    ct state new jump refuse
  }}
  chain filter-forward {{
    type filter hook forward priority 0; policy accept;
    ct state new jump refuse
  }}
  chain filter-output {{
    type filter hook output priority 0; policy accept;
    ct state new jump refuse
  }}
"
    );
}

fn chains(text: &mut String, number: usize, port: &Port) {
    let comment = port.name.replace('"', "");
    if !port.inside.targets.is_empty() {
        let rule = dnat(port.protocol, &port.inside.targets, port.sticky);
        let _infallible = writeln!(text, "  chain svc-{number} {{\n    {rule} comment \"{comment}\"\n  }}");
    }
    if port.node_port.is_some() && !port.outside.targets.is_empty() {
        let mark = if port.keep_source { "" } else { "    meta mark set meta mark or 0x4000\n" };
        let rule = dnat(port.protocol, &port.outside.targets, port.sticky);
        let _infallible = writeln!(text, "  chain node-{number} {{\n{mark}    {rule} comment \"{comment}\"\n  }}");
    }
}

fn dnat(protocol: Protocol, targets: &[Target], sticky: bool) -> String {
    let protocol = protocol.nft();
    if let [(address, port)] = targets {
        return format!("meta l4proto {protocol} dnat ip to {address}:{port}");
    }
    let n_targets = targets.len();
    let choice =
        if sticky { format!("jhash ip saddr mod {n_targets}") } else { format!("numgen random mod {n_targets}") };
    let entries = targets.iter().enumerate().map(|(index, (address, port))| format!("{index} : {address} . {port}"));
    let entries = entries.collect::<Vec<_>>().join(", ");
    format!("meta l4proto {protocol} dnat ip addr . port to {choice} map {{ {entries} }}")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::Service;
    use k8s_openapi::api::discovery::v1::EndpointSlice;
    use serde_json::{Value, json};

    use super::*;
    use crate::services::Services;

    fn table(services: Value, slices: Value, host_ports: &[HostPort]) -> Table {
        let services: Vec<Service> = serde_json::from_value(services).unwrap();
        let slices: Vec<EndpointSlice> = serde_json::from_value(slices).unwrap();
        let mut known = Services::default();
        for service in services {
            known.services.insert(("a".to_owned(), service.metadata.name.clone().unwrap()), Arc::new(service));
        }
        for slice in slices {
            known.slices.insert(("a".to_owned(), slice.metadata.name.clone().unwrap()), Arc::new(slice));
        }
        Table::project(&known, host_ports, "node-1", "10.96.0.10".parse().unwrap())
    }

    fn slice(service: &str, endpoints: Value) -> Value {
        json!({
            "metadata": {"name": format!("{service}-x"), "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
        })
    }

    fn endpoint(address: &str, node: &str, ready: bool) -> Value {
        json!({"addresses": [address], "nodeName": node, "conditions": {"ready": ready, "serving": ready}})
    }

    fn example() -> Table {
        let ports = json!([{"name": "http", "port": 80, "nodePort": 30080}]);
        table(
            json!([
                {"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.20", "type": "NodePort", "ports": ports, "externalIPs": ["192.0.2.7"]}},
                {"metadata": {"name": "sticky"}, "spec": {"clusterIP": "10.96.0.21", "sessionAffinity": "ClientIP", "ports": [{"name": "http", "port": 80}]}},
                {"metadata": {"name": "local"}, "spec": {"clusterIP": "10.96.0.22", "internalTrafficPolicy": "Local", "ports": [{"name": "http", "port": 80}]}},
                {"metadata": {"name": "none"}, "spec": {"clusterIP": "10.96.0.23", "ports": [{"name": "http", "port": 80, "nodePort": 30081}]}},
                {"metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]}},
                {"metadata": {"name": "dns"}, "spec": {"clusterIP": "10.96.0.10", "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]}},
            ]),
            json!([
                slice(
                    "web",
                    json!([
                        endpoint("10.244.1.2", "node-1", true),
                        endpoint("10.244.2.2", "node-2", true),
                        endpoint("10.244.2.3", "node-2", false)
                    ])
                ),
                slice(
                    "sticky",
                    json!([endpoint("10.244.1.2", "node-1", true), endpoint("10.244.2.2", "node-2", true)])
                ),
                slice("local", json!([endpoint("10.244.2.2", "node-2", true)])),
            ]),
            &[HostPort {
                address: None,
                protocol: Protocol::Tcp,
                port: 8000,
                target: ("10.244.1.2".parse().unwrap(), 80),
            }],
        )
    }

    #[test]
    fn each_service_port_knows_its_endpoints() {
        let table = example();
        let names: Vec<&str> = table.ports.iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ["a/local:http", "a/none:http", "a/sticky:http", "a/web:http"]);
        let [local, none, sticky, web] = table.ports.as_slice() else { panic!("four ports") };
        assert_eq!(local.inside, Entry { targets: vec![], elsewhere: true });
        assert_eq!(none.inside, Entry::default());
        assert!(sticky.sticky && !web.sticky);
        assert_eq!(web.outside.targets.len(), 2, "an endpoint that is not ready gets nothing");
        assert_eq!(web.addresses.len(), 2);
    }

    #[test]
    fn the_kernel_takes_the_rules() {
        let addresses = Addresses {
            pods: "10.244.1.0/24".to_owned(),
            all_pods: "10.244.0.0/16".to_owned(),
            services: "10.96.0.0/16".to_owned(),
        };
        for table in [Table::default(), example()] {
            let text = ruleset(&table, &addresses);
            // Checked by nft itself in a network namespace of its own; needs root.
            let mut nft = Command::new("unshare")
                .args(["--net", "nft", "-f", "-"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut nft.stdin.take().unwrap(), text.as_bytes()).unwrap();
            let output = nft.wait_with_output().unwrap();
            assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
