//! Pods: grace on deletion, and tolerations for nodes that fail (DefaultTolerationSeconds).

use serde_json::{Value, json};

/// How long a pod stays on a node that is not ready or not reachable.
const TOLERATION_SECONDS: i64 = 300;
/// Grace of pods that name none.
const GRACE_SECONDS: i64 = 30;

/// The containers of one list of a pod, to change.
pub(super) fn containers_mut<'p>(pod: &'p mut Value, list: &str) -> impl Iterator<Item = &'p mut Value> {
    // Indexing would put a null where there is no list.
    let containers = pod.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut);
    containers.into_iter().flatten()
}

/// Lets a pod stay for a while on a node that fails, unless it says otherwise itself.
pub(super) fn tolerate_node_problems(pod: &mut Value) {
    for taint in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = pod["spec"]["tolerations"].as_array().into_iter().flatten().any(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            (text("key") == taint || (text("key").is_empty() && text("operator") == "Exists"))
                && matches!(text("effect"), "" | "NoExecute")
        });
        if tolerated {
            continue;
        }
        if !pod["spec"]["tolerations"].is_array() {
            pod["spec"]["tolerations"] = json!([]);
        }
        if let Some(tolerations) = pod["spec"]["tolerations"].as_array_mut() {
            tolerations.push(json!({
                "key": taint,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": TOLERATION_SECONDS,
            }));
        }
    }
}

/// Seconds of grace: none for a pod that no kubelet runs or that has ended.
pub(super) fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    let placed = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    if !placed || ended {
        return 0;
    }
    let own = pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(GRACE_SECONDS);
    // A negative period means "as good as none", but still through the kubelet.
    match asked.unwrap_or(own) {
        seconds if seconds < 0 => 1,
        seconds => seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_depends_on_whether_a_kubelet_runs_it() {
        let cases = [
            (json!({"spec": {}}), None, 0),
            (json!({"spec": {"nodeName": "a"}}), None, 30),
            (json!({"spec": {"nodeName": "a", "terminationGracePeriodSeconds": 5}}), None, 5),
            (json!({"spec": {"nodeName": "a"}}), Some(7), 7),
            (json!({"spec": {"nodeName": "a"}}), Some(0), 0),
            (json!({"spec": {"nodeName": "a"}}), Some(-1), 1),
            (json!({"spec": {"nodeName": "a"}, "status": {"phase": "Failed"}}), Some(9), 0),
        ];
        for (pod, asked, seconds) in cases {
            assert_eq!(grace(&pod, asked), seconds, "{pod} {asked:?}");
        }
    }

    #[test]
    fn tolerations_are_added_once() {
        let mut pod = json!({"spec": {"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]}});
        tolerate_node_problems(&mut pod);
        tolerate_node_problems(&mut pod);
        assert_eq!(pod["spec"]["tolerations"].as_array().map(Vec::len), Some(2));
        let mut tolerant = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
        tolerate_node_problems(&mut tolerant);
        assert_eq!(tolerant["spec"]["tolerations"].as_array().map(Vec::len), Some(1));
    }
}
