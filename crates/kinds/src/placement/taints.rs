//! Taints of nodes and the tolerations of pods.

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};

/// The effects that keep a pod from being placed.
pub const NO_PLACE: &[&str] = &["NoSchedule", "NoExecute"];

/// Taint of a node that is not ready.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Taint of a node that has not been heard of.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Taint of a cordoned node.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Taint of a node with little memory left.
pub const MEMORY_PRESSURE: &str = "node.kubernetes.io/memory-pressure";
/// Taint of a node with little disk space left.
pub const DISK_PRESSURE: &str = "node.kubernetes.io/disk-pressure";
/// Taint of a node with few process ids left.
pub const PID_PRESSURE: &str = "node.kubernetes.io/pid-pressure";
/// Taint of a node without a network.
pub const NETWORK_UNAVAILABLE: &str = "node.kubernetes.io/network-unavailable";

/// The taints of a node.
pub fn of(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

/// Whether a toleration is about a taint.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let set = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
    if set(&toleration.effect).is_some_and(|effect| effect != taint.effect) {
        return false;
    }
    let key = set(&toleration.key);
    if key.as_ref().is_some_and(|key| *key != taint.key) {
        return false;
    }
    match toleration.operator.as_deref() {
        Some("Exists") => true,
        // An empty key with `Exists` tolerates everything; with a value it is invalid.
        None | Some("" | "Equal") => {
            key.is_some()
                && toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default()
        }
        Some(_) => false,
    }
}

/// The first taint with one of `effects` that none of the tolerations is about.
pub fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration], effects: &[&str]) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| effects.contains(&taint.effect.as_str()))
        .find(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Toleration {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Toleration {
            key: some(key),
            operator: some(operator),
            value: some(value),
            effect: some(effect),
            toleration_seconds: None,
        }
    }

    #[test]
    fn every_form_of_toleration_is_understood() {
        let taint = Taint {
            key: "gpu".to_owned(),
            value: Some("yes".to_owned()),
            effect: "NoSchedule".to_owned(),
            time_added: None,
        };
        let cases = [
            (("gpu", "Equal", "yes", "NoSchedule"), true),
            (("gpu", "", "yes", ""), true),
            (("gpu", "Exists", "", ""), true),
            (("", "Exists", "", ""), true),
            (("", "Exists", "", "NoExecute"), false),
            (("gpu", "Equal", "no", ""), false),
            (("cpu", "Exists", "", ""), false),
            (("", "Equal", "yes", ""), false),
            (("gpu", "Like", "yes", ""), false),
        ];
        for ((key, operator, value, effect), expected) in cases {
            let toleration = toleration(key, operator, value, effect);
            assert_eq!(tolerates(&toleration, &taint), expected, "{toleration:?}");
        }
    }
}
