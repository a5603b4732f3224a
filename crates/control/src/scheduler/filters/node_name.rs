//! A pod that names its node runs there only.

use super::{Filter, Refusal};

pub const FILTER: Filter = Filter {
    name: "NodeName",
    fits: |cycle, node| match cycle.pod.spec.node_name.as_deref() {
        None | Some("") => Ok(()),
        Some(name) if *name == **node.name() => Ok(()),
        Some(_) => Err(Refusal::helpless("node(s) didn't match the requested node name")),
    },
};
