//! From a pod up: what it belongs to, and what scales that.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

/// What pods belong to in the end: a Deployment, StatefulSet, Job, …
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.to_lowercase(), self.namespace, self.name)
    }
}

/// A HorizontalPodAutoscaler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// What it scales.
    pub target: Workload,
    /// Up to how many pods.
    pub max: u64,
}

/// Who owns whom, and what is scaled.
#[derive(Clone, Debug, Default)]
pub struct Workloads {
    /// From a ReplicaSet or Job (namespace, kind, name) to what controls it.
    owners: HashMap<(String, String, String), (String, String)>,
    /// All autoscalers.
    pub autoscalers: Vec<Autoscaler>,
}

impl Workloads {
    /// Reads ReplicaSets, Jobs and the like (each with its `kind`), and autoscalers.
    pub fn of(owned: &[Value], autoscalers: &[Value]) -> Self {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut owners = HashMap::new();
        for object in owned {
            if let Some(owner) = controller(object) {
                let metadata = &object["metadata"];
                owners.insert((word(&metadata["namespace"]), word(&object["kind"]), word(&metadata["name"])), owner);
            }
        }
        let autoscaler = |object: &Value| {
            let target = &object["spec"]["scaleTargetRef"];
            Some(Autoscaler {
                name: word(&object["metadata"]["name"]),
                target: Workload {
                    namespace: word(&object["metadata"]["namespace"]),
                    kind: word(&target["kind"]),
                    name: word(&target["name"]),
                },
                max: object["spec"]["maxReplicas"].as_u64()?,
            })
        };
        Self { owners, autoscalers: autoscalers.iter().filter_map(autoscaler).collect() }
    }

    /// What a pod belongs to; the pod itself if nothing controls it.
    pub fn of_pod(&self, pod: &Value) -> Workload {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let own = || ("Pod".to_owned(), pod["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        let (mut kind, mut name) = controller(pod).unwrap_or_else(own);
        // Chains are short; a circle ends too.
        for _ in 0..4 {
            let Some(above) = self.owners.get(&(namespace.clone(), kind.clone(), name.clone())) else { break };
            (kind, name) = above.clone();
        }
        Workload { namespace, kind, name }
    }

    /// What scales a workload.
    pub fn autoscaler_of(&self, workload: &Workload) -> Option<&Autoscaler> {
        self.autoscalers.iter().find(|autoscaler| autoscaler.target == *workload)
    }
}

fn controller(object: &Value) -> Option<(String, String)> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["kind"].as_str()?.to_owned(), owner["name"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn chains_end_at_the_top() {
        let owned_by = |kind: &str, name: &str, owner: Option<(&str, &str)>| {
            let owners = owner.map(|(kind, name)| json!([{"kind": kind, "name": name, "controller": true}]));
            json!({"kind": kind, "metadata": {"namespace": "shop", "name": name, "ownerReferences": owners}})
        };
        let owned = [
            owned_by("ReplicaSet", "web-1", Some(("Deployment", "web"))),
            owned_by("Job", "tick-1", Some(("CronJob", "tick"))),
            owned_by("ReplicaSet", "lone", None),
            owned_by("ReplicaSet", "circle", Some(("ReplicaSet", "circle"))),
        ];
        let scaler = json!({"metadata": {"namespace": "shop", "name": "web"},
            "spec": {"maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}});
        let workloads = Workloads::of(&owned, &[scaler]);
        let of = |owner: Option<(&str, &str)>| workloads.of_pod(&owned_by("Pod", "p", owner));
        let web = of(Some(("ReplicaSet", "web-1")));
        assert_eq!(web.to_string(), "deployment shop/web");
        assert_eq!(workloads.autoscaler_of(&web).map(|scaler| scaler.max), Some(9));
        assert_eq!(of(Some(("Job", "tick-1"))).to_string(), "cronjob shop/tick");
        assert_eq!(of(Some(("ReplicaSet", "lone"))).to_string(), "replicaset shop/lone");
        assert_eq!(of(Some(("ReplicaSet", "circle"))).to_string(), "replicaset shop/circle");
        assert_eq!(of(Some(("StatefulSet", "db"))).to_string(), "statefulset shop/db");
        assert_eq!(of(None).to_string(), "pod shop/p");
        assert_eq!(workloads.autoscaler_of(&of(None)), None);
    }
}
