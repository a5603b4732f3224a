//! A scheduler that takes any node that will do: stories have to come out the same whichever it is.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use api::{Blocked, Change, Key, LogEntry, LogType, Object, Plan, View};
use control::Planner;
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::placement::{affinity, taints};
use kinds::workload::meta::Meta as _;
use kinds::workload::pods;
use server::User;

/// Places pods; `0` tells runs apart.
pub struct Place(pub u64);

fn waits(object: &Object) -> bool {
    object.typed::<Pod>().is_some_and(|pod| pods::active(pod) && pods::node_name(pod).is_empty())
}

fn waiting(view: &View) -> Vec<Key> {
    let pods = view.objects(view.catalogue().id_of::<Pod>());
    pods.filter(|object| waits(object)).map(|object| object.header.key.clone()).collect()
}

impl Planner for Place {
    fn name(&self) -> &'static str {
        "place"
    }

    fn user(&self, _: &Key) -> User {
        User::new("system:kube-scheduler", ["system:authenticated"])
    }

    fn all(&self, view: &View) -> Vec<Key> {
        waiting(view)
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        let key = &entry.object.header.key;
        if key.kind == view.catalogue().id_of::<Node>() {
            return waiting(view);
        }
        let pod = key.kind == view.catalogue().id_of::<Pod>() && entry.kind != LogType::Deleted;
        if pod && waits(&entry.object) { vec![key.clone()] } else { Vec::new() }
    }

    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        let Some(object) = view.object(key).filter(|object| waits(object)) else { return Ok(()) };
        let Some(spec) = object.typed::<Pod>().and_then(pods::spec) else { return Ok(()) };
        let tolerations = spec.tolerations.as_deref().unwrap_or_default();
        let will_do = |node: &&Node| {
            affinity::required(spec, node)
                && taints::untolerated(taints::of(node), tolerations, taints::NO_PLACE).is_none()
                && node.status.as_ref().is_some_and(|status| status.allocatable.is_some())
        };
        let rank = |node: &&Node| {
            let mut hasher = DefaultHasher::new();
            (self.0, &*key.name, node.name()).hash(&mut hasher);
            hasher.finish()
        };
        if let Some(node) = view.list::<Node>().filter(will_do).min_by_key(rank) {
            let uid = object.header.uid.to_string();
            plan.push(Change::Bind { key: key.clone(), uid, node: node.name().to_owned() }, "it will do");
        }
        Ok(())
    }
}
