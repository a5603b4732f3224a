//! Node affinity and node selectors.

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

use crate::workload::meta::Meta;

/// Whether a node satisfies `nodeSelector` and the required node affinity of a pod.
pub fn required(spec: &PodSpec, node: &Node) -> bool {
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| node.label(key) == Some(value.as_str()));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|required| required.node_selector_terms.iter().any(|one| term(one, node)))
}

/// Sum of the weights of the preferred terms that a node satisfies.
pub fn preference(spec: &PodSpec, node: &Node) -> i64 {
    let preferred = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
    preferred
        .into_iter()
        .flatten()
        .filter(|preferred| term(&preferred.preference, node))
        .map(|preferred| i64::from(preferred.weight))
        .sum()
}

/// Whether a node satisfies one term; a term without requirements is satisfied by none.
pub fn term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let labels = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let on_label = |one: &NodeSelectorRequirement| requirement(one, node.label(&one.key));
    let on_field = |one: &NodeSelectorRequirement| one.key == "metadata.name" && requirement(one, Some(node.name()));
    (!labels.is_empty() || !fields.is_empty()) && labels.iter().all(on_label) && fields.iter().all(on_field)
}

fn requirement(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let number = |text: &str| text.parse::<i64>().ok();
    let compared = |holds: fn(&i64, &i64) -> bool| {
        let bound = values.first().and_then(|bound| number(bound));
        value.and_then(number).zip(bound).is_some_and(|(value, bound)| holds(&value, &bound))
    };
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| values.iter().any(|one| one == value)),
        "NotIn" => value.is_none_or(|value| !values.iter().any(|one| one == value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(i64::gt),
        "Lt" => compared(i64::lt),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_compare_labels() {
        let cases: &[(&str, &[&str], Option<&str>, bool)] = &[
            ("In", &["a", "b"], Some("a"), true),
            ("In", &["a"], None, false),
            ("NotIn", &["a"], None, true),
            ("NotIn", &["a"], Some("a"), false),
            ("Exists", &[], Some(""), true),
            ("DoesNotExist", &[], None, true),
            ("Gt", &["3"], Some("4"), true),
            ("Lt", &["3"], Some("x"), false),
            ("Like", &["a"], Some("a"), false),
        ];
        for (operator, values, value, expected) in cases {
            let one = NodeSelectorRequirement {
                key: "k".to_owned(),
                operator: (*operator).to_owned(),
                values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
            };
            assert_eq!(requirement(&one, *value), *expected, "{one:?} {value:?}");
        }
    }
}
