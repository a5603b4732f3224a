//! Tells the API server the status of a pod.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{Patch, PatchParams};

use crate::client::bounded;
use crate::pod::status::patch;
use crate::pod::worker::Task;

/// How telling went.
#[derive(Debug)]
pub(crate) enum Reported {
    /// The API server has this status now.
    Told(Box<PodStatus>),
    /// It has no such pod.
    Gone,
    Failed(String),
}

/// Sends what differs between the status that the API server has and the new one.
pub(crate) async fn report(task: &Task, old: &PodStatus, new: PodStatus) -> Reported {
    let Some(patch) = patch::between(&task.id.uid, old, &new) else { return Reported::Told(Box::new(new)) };
    let api: Api<Pod> = Api::namespaced(task.node.client.clone(), &task.id.namespace);
    let (none, patch) = (PatchParams::default(), Patch::Strategic(patch));
    match bounded(api.patch_status(&task.id.name, &none, &patch)).await {
        Ok(_) => Reported::Told(Box::new(new)),
        // 409: another pod of that name by now, as its uid shows.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Reported::Gone,
        Err(err) => Reported::Failed(err.to_string()),
    }
}
