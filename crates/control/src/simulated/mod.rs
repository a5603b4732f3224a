//! Nodes without containers: pods become ready by rule, end by rule, and go when they are deleted.
//!
//! For API tests, machines without root, and runs of thousands of nodes. A node is simulated when it carries the
//! annotation [`SIMULATED`]; everything about it is decided here from the view, one key per node. A pod runs as
//! soon as it is bound; with [`COMPLETE_AFTER`] it succeeds after that time, with [`FAIL_AFTER`] it fails.
//! Deliberately absent: anything that would need a container (logs, exec, probes, restarts).

mod kubelet;
mod pods;

use api::{Blocked, Key, LogEntry, Plan, View};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::workload::meta::Meta;
use server::User;

use crate::nodes;
use crate::planner::Planner;

/// Annotation of a simulated node: `"true"`.
pub const SIMULATED: &str = "shipmate.dev/simulated";
/// Annotation of a pod: the time after which it succeeds, for example `1s`.
pub const COMPLETE_AFTER: &str = "shipmate.dev/complete-after";
/// Annotation of a pod: the time after which it fails.
pub const FAIL_AFTER: &str = "shipmate.dev/fail-after";

/// Plays the kubelets of simulated nodes.
pub struct SimulatedNodes;

/// Simulated nodes of a cluster, to be created: `CLUSTER-sim-1` and so on.
pub fn nodes(cluster: &str, n_nodes: usize) -> Vec<Node> {
    (1..=n_nodes)
        .map(|number| {
            let name = format!("{cluster}-sim-{number}");
            let labels = [
                ("kubernetes.io/hostname", name.as_str()),
                ("kubernetes.io/os", "linux"),
                ("kubernetes.io/arch", kubelet::ARCH),
                (SIMULATED, "true"),
            ];
            let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
            Node {
                metadata: ObjectMeta {
                    labels: Some(labels.into_iter().map(own).collect()),
                    annotations: Some([(SIMULATED.to_owned(), "true".to_owned())].into()),
                    name: Some(name),
                    ..ObjectMeta::default()
                },
                ..Node::default()
            }
        })
        .collect()
}

impl Planner for SimulatedNodes {
    fn name(&self) -> &'static str {
        "simulated-nodes"
    }

    /// The node itself, as its kubelet would.
    fn user(&self, key: &Key) -> User {
        User::new(&format!("system:node:{}", key.name), ["system:nodes", "system:authenticated"])
    }

    fn all(&self, view: &View) -> Vec<Key> {
        nodes::all(view)
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        if entry.object.header.key.kind == view.catalogue().id_of::<Node>() {
            return vec![entry.object.header.key.clone()];
        }
        let simulated = |key: &Key| view.get::<Node>("", &key.name).is_some_and(is_simulated);
        nodes::of_pod(entry, view).into_iter().filter(simulated).collect()
    }

    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        let Some(node) = view.get::<Node>("", &key.name).filter(|node| is_simulated(node)) else { return Ok(()) };
        kubelet::keep_alive(node, view, plan);
        let on_node: Vec<&Pod> = view.list_by_field(node.name()).collect();
        pods::run(node, &on_node, view, plan);
        Ok(())
    }
}

fn is_simulated(node: &Node) -> bool {
    node.annotation(SIMULATED) == Some("true")
}
