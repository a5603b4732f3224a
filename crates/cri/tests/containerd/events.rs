//! The event stream.

use cri::events::{Event, Events, Exit};
use cri::{Error, v1};
use futures::StreamExt;
use tokio::time::timeout;

use crate::support::{Node, PATIENCE, container};

/// The next event, or the test fails.
pub async fn next(events: &mut Events) -> Option<Result<Event, Error>> {
    timeout(PATIENCE, events.next()).await.expect("an event must come")
}

/// Waits for a container's end as a kubelet does: subscribed before, so that it cannot be missed.
pub async fn exited(node: &Node, events: &mut Events, container: &str) -> v1::ContainerStatus {
    exit_of(events, container).await;
    let status = node.runtime.exited_container_status(container).await.unwrap();
    assert_eq!(status.state(), v1::ContainerState::ContainerExited);
    status
}

async fn exit_of(events: &mut Events, container: &str) -> Exit {
    loop {
        match next(events).await.unwrap().unwrap() {
            Event::Exit(exit) if exit.container == container => return exit,
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_end_of_a_container_is_told() {
    let node = Node::start().await;
    let mut events = node.runtime.events().await.unwrap();
    let pod = node.run("web", container(&["/bin/sh", "-c", "exit 7"])).await;
    let exit = exit_of(&mut events, &pod.container).await;
    assert_eq!((exit.code, exit.exec), (7, None));
    assert!(exit.at.is_some());
    // The sandbox's pause process ends as any other.
    node.runtime.stop_pod_sandbox(&pod.sandbox).await.unwrap();
    exit_of(&mut events, &pod.sandbox).await;
}

#[tokio::test]
async fn want_of_memory_is_told() {
    let node = Node::start().await;
    let mut events = node.runtime.events().await.unwrap();
    // containerd listens for it once the container is started: who is hungry before that goes unseen.
    let hungry = "until [ -e /go ]; do sleep 0.05; done; dd if=/dev/zero of=/dev/null bs=256M count=1";
    let mut config = container(&["/bin/sh", "-c", hungry]);
    config.linux.as_mut().unwrap().resources = Some(v1::LinuxContainerResources {
        memory_limit_in_bytes: 32 << 20,
        memory_swap_limit_in_bytes: 32 << 20,
        ..Default::default()
    });
    let pod = node.run("hungry", config).await;
    node.runtime
        .exec_sync(&pod.container, ["/bin/sh", "-c", "true > /go"].map(str::to_owned).to_vec(), PATIENCE)
        .await
        .unwrap();
    let expected = Event::OutOfMemory { container: pod.container.clone() };
    while next(&mut events).await.unwrap().unwrap() != expected {}
    let status = exited(&node, &mut events, &pod.container).await;
    assert_eq!(status.reason, "OOMKilled");
}

#[tokio::test]
async fn the_stream_ends_with_containerd() {
    let mut node = Node::start_empty().await;
    let mut events = node.runtime.events().await.unwrap();
    node.kill_containerd();
    let error = next(&mut events).await.unwrap().unwrap_err();
    assert!(error.unavailable(), "{error:?}");
    assert!(next(&mut events).await.is_none());
}
