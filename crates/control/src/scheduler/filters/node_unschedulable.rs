//! A cordoned node takes only pods that tolerate it.

use k8s_openapi::api::core::v1::Taint;
use kinds::placement::taints;

use super::{Filter, Refusal};

pub const FILTER: Filter = Filter {
    name: "NodeUnschedulable",
    fits: |cycle, node| {
        let cordoned = node.node().spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
        if !cordoned {
            return Ok(());
        }
        let taint = Taint {
            key: taints::UNSCHEDULABLE.to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        let tolerated = cycle.pod.spec.tolerations.iter().flatten().any(|one| taints::tolerates(one, &taint));
        if tolerated { Ok(()) } else { Err(Refusal::helpless("node(s) were unschedulable")) }
    },
};
