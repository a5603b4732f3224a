//! Address translation and the host's own firewall.
//!
//! One table in the root network namespace, replaced as a whole. Never `flush
//! ruleset`: other rules live beside it. What nodes translate for their pods and
//! services is their own proxy's business.
//! A host firewall that drops by default (Docker and ufw make such ones through
//! iptables) gets exceptions for the cluster's bridge; native nftables firewalls
//! are the owner's business and are left alone.

use super::plan::{Names, NetworkConfig};
use crate::command::{find, run};
use crate::{Error, Result};

/// Traffic that leaves the cluster gets an address of this machine.
pub(super) fn ensure_root(names: &Names, network: &NetworkConfig) -> Result<()> {
    let (bridge, nodes, pods) = (names.bridge(), network.node_cidr, network.pod_cidr);
    load(
        &names.table(),
        &format!(
            "chain postrouting {{\n\
             type nat hook postrouting priority srcnat; policy accept;\n\
             ip saddr {{ {nodes}, {pods} }} oifname != \"{bridge}\" masquerade\n\
             }}\n"
        ),
    )
}

/// Removes the table of a cluster in the root network namespace.
pub(super) fn remove_root(names: &Names) -> Result<()> {
    let table = names.table();
    run("nft", &["-f", "-"], &format!("table ip {table}\ndelete table ip {table}\n")).map(drop)
}

/// Replaces a table in one transaction; the first line makes sure that the second works.
fn load(table: &str, content: &str) -> Result<()> {
    let script = format!("table ip {table}\ndelete table ip {table}\ntable ip {table} {{\n{content}}}\n");
    run("nft", &["-f", "-"], &script).map(drop)
}

/// Lets the bridge's traffic through a firewall made with iptables.
pub(super) fn ensure_exceptions(names: &Names) -> Result<()> {
    if !iptables_in_use()? {
        return Ok(());
    }
    let bridge = names.bridge();
    let rules = run("iptables", &["-w", "-S"], "")?;
    for (chain, direction) in [("FORWARD", "-i"), ("FORWARD", "-o"), ("INPUT", "-i")] {
        let drops = rules.lines().any(|line| line == format!("-P {chain} DROP"));
        let present = rules.lines().any(|line| line == format!("-A {chain} {direction} {bridge} -j ACCEPT"));
        if drops && !present {
            run("iptables", &["-w", "-I", chain, direction, &bridge, "-j", "ACCEPT"], "")?;
        }
    }
    Ok(())
}

/// Removes what [`ensure_exceptions`] made.
pub(super) fn remove_exceptions(names: &Names) -> Result<()> {
    if !iptables_in_use()? {
        return Ok(());
    }
    let bridge = names.bridge();
    let rules = run("iptables", &["-w", "-S"], "")?;
    for line in rules.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["-A", chain, "-i" | "-o", interface, "-j", "ACCEPT"] = words.as_slice()
            && *interface == bridge
        {
            run("iptables", &["-w", "-D", chain, words[2], &bridge, "-j", "ACCEPT"], "")?;
        }
    }
    Ok(())
}

/// Asking iptables about rules would load its modules; so first see whether it has any.
fn iptables_in_use() -> Result<bool> {
    if find("iptables").is_none() {
        return Ok(false);
    }
    let legacy = std::fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    if legacy.lines().any(|table| table == "filter") {
        return Ok(true);
    }
    match run("nft", &["list", "tables", "ip"], "") {
        Ok(tables) => Ok(tables.lines().any(|line| line.trim() == "table ip filter")),
        Err(Error::Program { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
