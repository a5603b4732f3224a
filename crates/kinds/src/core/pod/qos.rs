//! The quality of service of a pod: who is squeezed first when a node runs out.

use std::collections::BTreeMap;

use api::Quantity;
use serde_json::Value;

use crate::value::quantity;

/// The class of a pod, from its spec as JSON. A container with limits but no requests requests its limits.
pub fn class(spec: &Value) -> &'static str {
    let as_a_whole = [&spec["resources"]];
    let one_by_one: Vec<&Value> = ["containers", "initContainers"]
        .iter()
        .flat_map(|field| spec[*field].as_array().into_iter().flatten())
        .map(|container| &container["resources"])
        .collect();
    let whole = amounts(as_a_whole[0], "limits").len() + amounts(as_a_whole[0], "requests").len() > 0;
    let holders = if whole { &as_a_whole[..] } else { &one_by_one[..] };
    let mut guaranteed = true;
    let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
    for resources in holders {
        let limited = amounts(resources, "limits");
        let mut requested = amounts(resources, "requests");
        for (name, amount) in &limited {
            if resources["requests"][*name].is_null() {
                requested.insert(name, *amount);
            }
        }
        guaranteed &= limited.len() == RESOURCES.len();
        add(&mut limits, limited);
        add(&mut requests, requested);
    }
    match () {
        () if requests.is_empty() && limits.is_empty() => "BestEffort",
        () if guaranteed && requests == limits => "Guaranteed",
        () => "Burstable",
    }
}

/// Resources that count.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// Amounts above zero of the resources that count.
fn amounts(resources: &Value, side: &str) -> BTreeMap<&'static str, Quantity> {
    RESOURCES
        .into_iter()
        .filter_map(|name| Some((name, quantity(&resources[side][name])?)))
        .filter(|(_, amount)| *amount > Quantity::ZERO)
        .collect()
}

fn add(sum: &mut BTreeMap<&'static str, Quantity>, amounts: BTreeMap<&'static str, Quantity>) {
    for (name, amount) in amounts {
        *sum.entry(name).or_default() += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn classes() {
        let all = json!({"cpu": "1", "memory": "1Gi"});
        let container =
            |requests: &Value, limits: &Value| json!({"resources": {"requests": requests, "limits": limits}});
        let none = Value::Null;
        let cases = [
            (json!({"containers": [container(&none, &none)]}), "BestEffort"),
            (json!({"containers": [container(&all, &all)]}), "Guaranteed"),
            (json!({"containers": [container(&none, &all)]}), "Guaranteed"),
            (json!({"containers": [container(&all, &none)]}), "Burstable"),
            (json!({"containers": [container(&none, &json!({"cpu": "1"}))]}), "Burstable"),
            (json!({"containers": [container(&json!({"cpu": "1", "memory": "1Mi"}), &all)]}), "Burstable"),
            (json!({"containers": [container(&all, &all), container(&none, &none)]}), "Burstable"),
            (json!({"containers": [container(&all, &all)], "initContainers": [container(&none, &none)]}), "Burstable"),
            (json!({"containers": [container(&none, &none)], "resources": {"limits": all}}), "Guaranteed"),
            (json!({"containers": [container(&json!({"cpu": "0"}), &none)]}), "BestEffort"),
        ];
        for (spec, wanted) in cases {
            assert_eq!(class(&spec), wanted, "{spec}");
        }
    }
}
