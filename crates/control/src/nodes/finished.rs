//! Bounds the number of finished pods that are kept for people to look at.

use api::{Blocked, Key, LogEntry, Plan, View};
use k8s_openapi::api::core::v1::Pod;
use kinds::workload::meta::Meta;
use kinds::workload::{change, pods};
use server::User;

use crate::planner::Planner;
use crate::root_ca::account;

/// Finished pods that are kept.
const KEPT: usize = 12_500;

/// Removes the oldest finished pods beyond the bound. There is one key, the pods of all namespaces.
pub struct FinishedPods;

impl FinishedPods {
    fn key(view: &View) -> Key {
        Key::new(view.catalogue().id_of::<Pod>(), "", "")
    }
}

impl Planner for FinishedPods {
    fn name(&self) -> &'static str {
        "finished-pods"
    }

    fn user(&self, _: &Key) -> User {
        account("pod-garbage-collector")
    }

    fn all(&self, view: &View) -> Vec<Key> {
        vec![Self::key(view)]
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        let pod = view.catalogue().id_of::<Pod>();
        let ended = || entry.object.typed::<Pod>().is_some_and(pods::finished);
        if entry.object.header.key.kind == pod && view.n_objects(pod) > KEPT && ended() {
            vec![Self::key(view)]
        } else {
            Vec::new()
        }
    }

    fn plan(&self, _: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        if view.n_objects(view.catalogue().id_of::<Pod>()) <= KEPT {
            return Ok(());
        }
        let mut finished: Vec<&Pod> = view.list::<Pod>().filter(|pod| pods::finished(pod) && !pod.deleting()).collect();
        let surplus = finished.len().saturating_sub(KEPT);
        finished.sort_by_key(|pod| pod.created());
        for pod in finished.into_iter().take(surplus) {
            plan.push(change::delete(pod, view, Some(0)), "more finished pods than are kept");
        }
        Ok(())
    }
}
