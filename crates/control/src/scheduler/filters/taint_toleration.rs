//! A tainted node takes only pods that tolerate its taints.

use kinds::placement::taints;

use super::{Filter, Refusal};

pub const FILTER: Filter = Filter {
    name: "TaintToleration",
    fits: |cycle, node| {
        let tolerations = cycle.pod.spec.tolerations.as_deref().unwrap_or_default();
        match taints::untolerated(taints::of(node.node()), tolerations, taints::NO_PLACE) {
            None => Ok(()),
            Some(taint) => {
                let value = taint.value.as_deref().unwrap_or_default();
                Err(Refusal::helpless(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)))
            }
        }
    },
};
