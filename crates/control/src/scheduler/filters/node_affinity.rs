//! A pod runs on the nodes that its node selector and node affinity name.

use kinds::placement::affinity;

use super::{Filter, Refusal};

pub const FILTER: Filter = Filter {
    name: "NodeAffinity",
    fits: |cycle, node| {
        if affinity::required(&cycle.pod.spec, node.node()) {
            Ok(())
        } else {
            Err(Refusal::helpless("node(s) didn't match Pod's node affinity/selector"))
        }
    },
};
