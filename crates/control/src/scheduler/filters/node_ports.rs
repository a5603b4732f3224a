//! Two pods can't have the same port of a node.

use super::{Filter, Refusal};

pub const FILTER: Filter = Filter {
    name: "NodePorts",
    fits: |cycle, node| {
        let wanted = &cycle.pod.ports;
        if wanted.is_empty() {
            return Ok(());
        }
        let taken = || node.pods.values().flat_map(|pod| &pod.ports);
        if wanted.iter().any(|port| taken().any(|other| other.clashes(port))) {
            return Err(Refusal::full("node(s) didn't have free ports for the requested pod ports"));
        }
        Ok(())
    },
};
