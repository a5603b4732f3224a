//! The kubelet API's questions, answered from the state of the node's pods.

use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::pods::{Container, PodRef, Pods, Unknown};
use crate::node::Node;
use crate::pod::observed::{self, State};

impl Pods for Node {
    fn container(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Result<Container, Unknown> {
        let view = self.pod(namespace, pod).ok_or(Unknown::Pod)?;
        let wanted = view.pod.as_deref().and_then(|pod| streams(pod, container));
        let Some((tty, stdin, stdin_once)) = wanted else {
            return Err(Unknown::Container(container.to_owned(), pod.to_owned()));
        };
        let found = if previous { view.seen.previous(container) } else { view.seen.newest(container) };
        if previous && found.is_none() {
            return Err(Unknown::Previous(container.to_owned(), pod.to_owned()));
        }
        if found.is_none() {
            let reason = waiting(&view.status, container);
            return Err(Unknown::Waiting { container: container.to_owned(), pod: pod.to_owned(), reason });
        }
        Ok(Container {
            id: found.map(|found| found.id.clone()),
            running: found.is_some_and(|found| found.state == State::Running),
            tty,
            stdin,
            stdin_once,
            log: found.map(|found: &observed::Container| found.log_path.clone().into()).unwrap_or_default(),
        })
    }

    fn sandbox(&self, namespace: &str, pod: &str) -> Result<String, Unknown> {
        let view = self.pod(namespace, pod).ok_or(Unknown::Pod)?;
        let sandbox = view.seen.sandbox().filter(|sandbox| sandbox.ready);
        sandbox.map(|sandbox| sandbox.id.clone()).ok_or_else(|| Unknown::Sandbox(pod.to_owned()))
    }

    fn pods(&self) -> Vec<PodRef> {
        let pods = Node::pods(self).into_iter().map(|view| view.id);
        pods.map(|id| PodRef { namespace: id.namespace, name: id.name, uid: id.uid }).collect()
    }
}

/// Why a container has not started, as the real kubelet tells it to who asks for its log.
fn waiting(status: &PodStatus, name: &str) -> String {
    let all = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let statuses = all.into_iter().flatten().flatten();
    let mut of_name = statuses.filter(|status| status.name == name);
    let reason = of_name.find_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    match reason {
        Some("ImagePullBackOff") => "trying and failing to pull image".to_owned(),
        Some("ErrImagePull") => "image can't be pulled".to_owned(),
        other => other.unwrap_or("ContainerCreating").to_owned(),
    }
}

/// Whether a container of the pod, of whichever sort, has a terminal, an input, and an input for one client only.
fn streams(pod: &Pod, name: &str) -> Option<(bool, bool, bool)> {
    let spec = pod.spec.as_ref()?;
    let set = |flag: Option<bool>| flag == Some(true);
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let ordinary = containers
        .filter(|container| container.name == name)
        .map(|container| (set(container.tty), set(container.stdin), set(container.stdin_once)));
    let ephemeral = spec
        .ephemeral_containers
        .iter()
        .flatten()
        .filter(|container| container.name == name)
        .map(|container| (set(container.tty), set(container.stdin), set(container.stdin_once)));
    ordinary.chain(ephemeral).next()
}
