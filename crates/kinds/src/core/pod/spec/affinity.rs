//! Affinity to nodes and pods, and spreading over topology.

use api::{FieldErrors, Path, names};
use k8s_openapi::api::core::v1::{
    NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, PodSpec, TopologySpreadConstraint,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::checks;

/// Reports what is wrong with where a pod wants to be.
pub fn validate(spec: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let affinity = spec.affinity.clone().unwrap_or_default();
    let of_affinity = path.child("affinity");
    if let Some(node) = &affinity.node_affinity {
        let path = of_affinity.child("nodeAffinity");
        if let Some(selector) = &node.required_during_scheduling_ignored_during_execution {
            node_selector(selector, &path.child(REQUIRED), errors);
        }
        for (index, term) in node.preferred_during_scheduling_ignored_during_execution.iter().flatten().enumerate() {
            let path = path.child(PREFERRED).index(index);
            weight(term.weight, &path, errors);
            node_term(&term.preference, false, &path.child("preference"), errors);
        }
    }
    let pods = affinity.pod_affinity.unwrap_or_default();
    let apart = affinity.pod_anti_affinity.unwrap_or_default();
    for (field, required, preferred) in [
        (
            "podAffinity",
            pods.required_during_scheduling_ignored_during_execution,
            pods.preferred_during_scheduling_ignored_during_execution,
        ),
        (
            "podAntiAffinity",
            apart.required_during_scheduling_ignored_during_execution,
            apart.preferred_during_scheduling_ignored_during_execution,
        ),
    ] {
        let path = of_affinity.child(field);
        for (index, term) in required.iter().flatten().enumerate() {
            pod_term(term, &path.child(REQUIRED).index(index), errors);
        }
        for (index, term) in preferred.iter().flatten().enumerate() {
            let WeightedPodAffinityTerm { weight: of_term, pod_affinity_term } = term;
            let path = path.child(PREFERRED).index(index);
            weight(*of_term, &path, errors);
            pod_term(pod_affinity_term, &path.child("podAffinityTerm"), errors);
        }
    }
    let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.child("topologySpreadConstraints").index(index);
        spread(constraint, &constraints[index + 1..], &path, errors);
    }
}

fn weight(weight: i32, path: &Path, errors: &mut FieldErrors) {
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

/// Reports what is wrong with a selector of nodes.
pub fn node_selector(selector: &NodeSelector, path: &Path, errors: &mut FieldErrors) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        errors.required(&path, "must have at least one node selector term");
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        node_term(term, true, &path.index(index), errors);
    }
}

fn node_term(term: &NodeSelectorTerm, check_values: bool, path: &Path, errors: &mut FieldErrors) {
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        node_requirement(requirement, check_values, &path.child("matchExpressions").index(index), errors);
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        let path = path.child("matchFields").index(index);
        let values = requirement.values.as_deref().unwrap_or_default();
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.len() == 1 => {}
            "In" | "NotIn" => errors.required(
                &path.child("values"),
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
        }
        if requirement.key != "metadata.name" {
            errors.invalid(&path.child("key"), requirement.key.as_str(), "not a valid field selector key");
            continue;
        }
        for (index, value) in values.iter().enumerate() {
            checks::name(errors, &path.child("values").index(index), value, checks::SUBDOMAIN);
        }
    }
}

fn node_requirement(requirement: &NodeSelectorRequirement, check_values: bool, path: &Path, errors: &mut FieldErrors) {
    let values = requirement.values.as_deref().unwrap_or_default();
    let values_path = path.child("values");
    match (requirement.operator.as_str(), values.len()) {
        ("In" | "NotIn", 0) => {
            errors.required(&values_path, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        ("In" | "NotIn", _) | ("Exists" | "DoesNotExist", 0) | ("Gt" | "Lt", 1) => {}
        ("Exists" | "DoesNotExist", _) => {
            errors.forbidden(&values_path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        ("Gt" | "Lt", _) => {
            errors.required(&values_path, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        (other, _) => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
    checks::name(errors, &path.child("key"), &requirement.key, checks::QUALIFIED);
    for (index, value) in values.iter().enumerate().filter(|_| check_values) {
        checks::name(errors, &values_path.index(index), value, names::label_value);
    }
}

fn pod_term(term: &PodAffinityTerm, path: &Path, errors: &mut FieldErrors) {
    for (field, selector) in [("labelSelector", &term.label_selector), ("namespaceSelector", &term.namespace_selector)]
    {
        selector.iter().for_each(|selector| checks::selector(errors, &path.child(field), selector));
    }
    for namespace in term.namespaces.iter().flatten() {
        checks::name(errors, &path.child("namespace"), namespace, checks::LABEL);
    }
    for (field, keys) in [("matchLabelKeys", &term.match_label_keys), ("mismatchLabelKeys", &term.mismatch_label_keys)]
    {
        label_keys(keys.as_deref().unwrap_or_default(), term.label_selector.as_ref(), &path.child(field), errors);
    }
    let mismatches = term.mismatch_label_keys.as_deref().unwrap_or_default();
    for (index, key) in term.match_label_keys.iter().flatten().enumerate() {
        if mismatches.contains(key) {
            let path = path.child("matchLabelKeys").index(index);
            errors.invalid(&path, key.as_str(), "exists in both matchLabelKeys and mismatchLabelKeys");
        }
    }
    if term.topology_key.is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
    checks::name(errors, &path.child("topologyKey"), &term.topology_key, checks::QUALIFIED);
}

fn label_keys(keys: &[String], selector: Option<&LabelSelector>, path: &Path, errors: &mut FieldErrors) {
    if !keys.is_empty() && selector.is_none() {
        return errors.forbidden(path, "must not be specified when labelSelector is not set");
    }
    for (index, key) in keys.iter().enumerate() {
        checks::name(errors, &path.index(index), key, checks::QUALIFIED);
    }
}

fn spread(one: &TopologySpreadConstraint, rest: &[TopologySpreadConstraint], path: &Path, errors: &mut FieldErrors) {
    checks::positive(errors, &path.child("maxSkew"), one.max_skew);
    if one.topology_key.is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
    let action = one.when_unsatisfiable.as_str();
    if !["DoNotSchedule", "ScheduleAnyway"].contains(&action) {
        errors.not_supported(&path.child("whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]);
    }
    if rest.iter().any(|other| other.topology_key == one.topology_key && other.when_unsatisfiable == action) {
        let pair = format!("{{{}, {action}}}", one.topology_key);
        errors.duplicate(&path.child("{topologyKey, whenUnsatisfiable}"), pair);
    }
    if let Some(domains) = one.min_domains {
        let path = path.child("minDomains");
        checks::positive(errors, &path, domains);
        if action != "DoNotSchedule" {
            let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            errors.invalid(&path, domains, &why);
        }
    }
    for (field, policy) in
        [("nodeAffinityPolicy", &one.node_affinity_policy), ("nodeTaintsPolicy", &one.node_taints_policy)]
    {
        checks::maybe_one_of(errors, &path.child(field), policy.as_deref(), &["Honor", "Ignore"]);
    }
    let keys = one.match_label_keys.as_deref().unwrap_or_default();
    label_keys(keys, one.label_selector.as_ref(), &path.child("matchLabelKeys"), errors);
    if let Some(selector) = &one.label_selector {
        checks::selector(errors, &path.child("labelSelector"), selector);
    }
}
