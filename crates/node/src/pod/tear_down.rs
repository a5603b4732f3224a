//! Removes what a pod leaves in the runtime and on the node.

use kube::Api;
use kube::api::{DeleteParams, Preconditions};

use k8s_openapi::api::core::v1::Pod;

use crate::cgroup;
use crate::client::bounded;
use crate::pod::decide::Action;
use crate::pod::worker::Task;
use crate::volume;

/// Something could not be removed yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TearDownError {
    #[error(transparent)]
    Runtime(#[from] cri::Error),
    #[error("could not remove the files of pod {uid}")]
    Files {
        uid: String,
        #[source]
        source: std::io::Error,
    },
    #[error("could not delete the pod in the API server")]
    Object(#[source] Box<kube::Error>),
}

/// Carries the actions out, one after the other; stops at the first that fails.
pub(crate) async fn run(task: &Task, actions: &[Action], gone: bool) -> Result<(), TearDownError> {
    let runtime = &task.node.runtime;
    for action in actions {
        match action {
            Action::StopSandbox { id } => found(runtime.stop_pod_sandbox(id).await)?,
            Action::Remove { id } => {
                found(runtime.remove_container(id).await)?;
                remove_logs(task, id);
            }
            Action::RemoveSandbox { id } => {
                // Stopped again: after a failed start its network may be half there.
                found(runtime.stop_pod_sandbox(id).await)?;
                found(runtime.remove_pod_sandbox(id).await)?;
            }
            Action::Unmount => files(task)?,
            Action::Finish => finish(task, gone).await?,
            _ => {}
        }
    }
    Ok(())
}

/// What is not there need not be removed.
fn found(result: Result<(), cri::Error>) -> Result<(), cri::Error> {
    match result {
        Err(err) if err.not_found() => Ok(()),
        other => other,
    }
}

/// The log of a container that was removed, with what rotation left of it.
fn remove_logs(task: &Task, id: &str) {
    let Some(seen) = task.seen.containers.iter().find(|container| container.id == id) else { return };
    let path = std::path::Path::new(&seen.log_path);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return };
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|found| found.starts_with(name)) {
            // Best effort: the directory goes with the pod.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn files(task: &Task) -> Result<(), TearDownError> {
    let uid = task.id.uid.clone();
    volume::remove(&task.node.config.pod_dir(&uid)).map_err(|source| TearDownError::Files { uid, source })
}

async fn finish(task: &Task, gone: bool) -> Result<(), TearDownError> {
    files(task)?;
    let id = &task.id;
    let logs = task.node.config.pod_log_dir(&id.namespace, &id.name, &id.uid);
    match std::fs::remove_dir_all(&logs) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(TearDownError::Files { uid: id.uid.clone(), source });
        }
        _ => {}
    }
    for (uid, cgroup) in cgroup::pods_below(&task.node.config.cgroup_parent) {
        if uid == id.uid {
            cgroup::remove(&cgroup);
        }
    }
    if gone {
        return Ok(());
    }
    let api: Api<Pod> = Api::namespaced(task.node.client.clone(), &id.namespace);
    let this_one = Preconditions { uid: Some(id.uid.clone()), resource_version: None };
    let now = DeleteParams { grace_period_seconds: Some(0), preconditions: Some(this_one), ..DeleteParams::default() };
    match bounded(api.delete(&id.name, &now)).await {
        // Gone, or another pod of that name by now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(err) => Err(TearDownError::Object(Box::new(err))),
        Ok(_) => Ok(()),
    }
}
