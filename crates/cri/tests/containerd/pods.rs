//! Pods and containers by CRI, and what happens when containerd is away.

use std::fs;
use std::time::Duration;

use cri::{Error, Runtime, v1};

use crate::events::exited;
use crate::support::{Node, container};

#[tokio::test]
async fn a_pod_runs_prints_and_ends() {
    let node = Node::start().await;
    let runtime = &node.runtime;
    let command = ["/bin/sh", "-c", "echo hello; exit 3"];
    let mut events = runtime.events().await.unwrap();
    let pod = node.run("web", container(&command)).await;
    let status = exited(&node, &mut events, &pod.container).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (3, "Error"));
    let log = fs::read_to_string(&status.log_path).unwrap();
    assert!(log.ends_with(" stdout F hello\n"), "{log}");

    let filter = v1::ContainerFilter { pod_sandbox_id: pod.sandbox.clone(), ..Default::default() };
    assert_eq!(runtime.list_containers(filter).await.unwrap().len(), 1);
    let verbose = runtime.container_status_verbose(&pod.container).await.unwrap();
    assert!(verbose.info["info"].contains("runtimeSpec"));

    runtime.remove_container(&pod.container).await.unwrap();
    runtime.stop_pod_sandbox(&pod.sandbox).await.unwrap();
    runtime.remove_pod_sandbox(&pod.sandbox).await.unwrap();
    // Both are idempotent; looking up what is gone is not.
    runtime.remove_pod_sandbox(&pod.sandbox).await.unwrap();
    let error = runtime.pod_sandbox_status(&pod.sandbox).await.unwrap_err();
    assert!(error.not_found(), "{error}");
    let all = v1::PodSandboxFilter::default();
    assert!(runtime.list_pod_sandboxes(all).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_running_container_is_measured_changed_and_stopped() {
    let node = Node::start().await;
    let runtime = &node.runtime;
    let pod = node.idle("web").await;

    let stats = runtime.container_stats(&pod.container).await.unwrap();
    assert!(stats.cpu.is_some() && stats.memory.is_some());
    let limits = v1::LinuxContainerResources { memory_limit_in_bytes: 64 << 20, ..Default::default() };
    runtime.update_container_resources(&pod.container, limits).await.unwrap();
    let status = runtime.container_status(&pod.container).await.unwrap();
    let resources = status.resources.unwrap().linux.unwrap();
    assert_eq!(resources.memory_limit_in_bytes, 64 << 20);
    runtime.reopen_container_log(&pod.container).await.unwrap();

    let command = vec!["/bin/sh".to_owned(), "-c".to_owned(), "echo out; exit 4".to_owned()];
    let output = runtime.exec_sync(&pod.container, command, Duration::from_secs(30)).await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.exit_code), (&b"out\n"[..], 4));
    let url = runtime.port_forward(&pod.sandbox, vec![80]).await.unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");

    runtime.stop_container(&pod.container, Duration::ZERO).await.unwrap();
    let status = runtime.container_status(&pod.container).await.unwrap();
    assert_eq!(status.state(), v1::ContainerState::ContainerExited);
    assert_eq!(status.exit_code, 137);
}

#[tokio::test]
async fn the_runtime_describes_itself() {
    let node = Node::start_empty().await;
    let runtime = &node.runtime;
    let version = runtime.version().await.unwrap();
    assert_eq!(version.runtime_name, "containerd");
    assert_eq!(runtime.containerd_version().await.unwrap(), version.runtime_version);
    let plugins = runtime.plugins().await.unwrap();
    let cri = plugins.iter().find(|plugin| plugin.id == "cri").unwrap();
    assert_eq!(cri.init_error, None);
    let status = runtime.status_verbose().await.unwrap();
    assert!(status.info.contains_key("config"));
    runtime.update_runtime_config("10.244.0.0/24").await.unwrap();
    assert!(!runtime.image_fs_info().await.unwrap().image_filesystems.is_empty());
}

#[tokio::test]
async fn the_connection_comes_back_with_containerd() {
    let mut node = Node::start().await;
    let pod = node.idle("web").await;
    node.kill_containerd();
    let error = node.runtime.version().await.unwrap_err();
    assert!(error.unavailable(), "{error}");
    node.start_again().await;
    let status = node.runtime.container_status(&pod.container).await.unwrap();
    assert_eq!(status.state(), v1::ContainerState::ContainerRunning);
}

#[tokio::test]
async fn a_missing_socket_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("containerd.sock");
    let runtime = Runtime::new(&socket).unwrap();
    let error = runtime.version().await.unwrap_err();
    assert!(error.unavailable() && error.code().is_none());
    let text = error.to_string();
    assert!(text.starts_with("Version: no connection to containerd at "), "{text}");
    assert!(text.contains(socket.to_str().unwrap()), "{text}");
    let Error::Unreachable { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    let error = runtime.ready(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_socket_that_nobody_answers_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("containerd.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let runtime = Runtime::new(&socket).unwrap();
    let (error, accepted) = tokio::join!(runtime.version(), async {
        // Taken, and dropped without a word.
        listener.accept().await.map(drop)
    });
    accepted.unwrap();
    let error = error.unwrap_err();
    assert!(error.unavailable(), "{error:?}");
}
