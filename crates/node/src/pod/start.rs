//! Brings a sandbox or a container up.

use std::time::Duration;

use cri::v1::{Image, PodSandboxConfig};
use k8s_openapi::api::core::v1::PodSpec;
use tokio_util::sync::CancellationToken;

use crate::cgroup;
use crate::env::sources::Sources;
use crate::env::{self, Given};
use crate::event::{About, Level};
use crate::image::pull;
use crate::labels::{Notes, PodRef};
use crate::objects::Age;
use crate::pod::members::{self, Class, Member};
use crate::pod::worker::Task;
use crate::pod::{container, hooks, hosts, resolv, resources, sandbox, security};
use crate::volume::{Volumes, mounts};

/// A container that did not start.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// The pod is to stop.
    GivenUp,
    /// With the reason and message for its status.
    Failed { reason: &'static str, message: String },
}

/// A container that a postStart hook failed in is stopped with this grace.
const HOOK_FAILED_GRACE: i64 = 2;

impl NotStarted {
    fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Failed { reason, message: message.into() }
    }
}

/// Makes a sandbox. The error is the runtime's.
pub(crate) async fn run_sandbox(task: &Task, spec: &PodSpec, attempt: u32) -> Result<(), String> {
    let node = &task.node;
    let id = &task.id;
    let made = cgroup::make(&resources::cgroup(&node.config.cgroup_parent, spec, &id.uid), &resources::of_pod(spec));
    made.map_err(|err| {
        format!("failed to ensure that the pod: {} cgroups exist and are correctly applied: {err}", id.uid)
    })?;
    let logs = node.config.pod_log_dir(&id.namespace, &id.name, &id.uid);
    std::fs::create_dir_all(&logs).map_err(|err| format!("create pod log directory {}: {err}", logs.display()))?;
    let config = sandbox_config(task, spec, attempt);
    let made = async {
        let handler = handler(task, spec).await?;
        let _turn = node.starts.acquire().await.map_err(|err| err.to_string())?;
        node.runtime.run_pod_sandbox(config, &handler).await.map_err(|err| err.event_text())
    };
    made.await.map(drop).inspect_err(|problem| {
        let message = format!("Failed to create pod sandbox: {problem}");
        node.events.record(&About::pod(id), Level::Warning, "FailedCreatePodSandBox", &message);
    })
}

/// The runtime's handler for the pod; the empty one is the default.
async fn handler(task: &Task, spec: &PodSpec) -> Result<String, String> {
    if spec.host_users == Some(false) {
        return Err("the container runtime of this node does not support user namespaces".to_owned());
    }
    let Some(class) = spec.runtime_class_name.as_deref().filter(|class| !class.is_empty()) else {
        return Ok(String::new());
    };
    let handler = task.node.objects.runtime_handler(class).await.map_err(|err| err.to_string())?;
    handler.ok_or_else(|| format!("failed to get sandbox runtime: no runtime class \"{class}\" is found"))
}

fn sandbox_config(task: &Task, spec: &PodSpec, attempt: u32) -> PodSandboxConfig {
    let config = &task.node.config;
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let dns = resolv::config(config, spec, &task.id.namespace, &host);
    sandbox::config(config, &task.pod, spec, dns, attempt)
}

/// Starts a container, from its image to its postStart hook.
pub(crate) async fn start(
    task: &Task,
    spec: &PodSpec,
    name: &str,
    attempt: u32,
    stop: &CancellationToken,
) -> Result<(), NotStarted> {
    let node = &task.node;
    let about = task.about(spec, name);
    let Some(member) = members::find(spec, name) else { return Ok(()) };
    let Some(sandbox) = task.seen.sandbox() else { return Err(NotStarted::GivenUp) };
    let sandbox_config = sandbox_config(task, spec, sandbox.attempt);

    let wanted =
        pull::Wanted { pod: &task.id, spec, container: &member.container, about: &about, sandbox: &sandbox_config };
    let image = tokio::select! {
        image = pull::ensure(node, &wanted) => image,
        () = stop.cancelled() => return Err(NotStarted::GivenUp),
    };
    let image = image.map_err(|missing| {
        node.events.record(&about, Level::Warning, "Failed", &format!("Error: {}", missing.reason()));
        NotStarted::failed(missing.reason(), missing.message())
    })?;

    let config = configure(task, spec, &member, &image, attempt).await.map_err(|message| {
        node.events.record(&about, Level::Warning, "Failed", &format!("Error: {message}"));
        NotStarted::failed("CreateContainerConfigError", message)
    })?;
    let turn = node.starts.acquire().await.map_err(|_| NotStarted::GivenUp)?;
    if stop.is_cancelled() {
        return Err(NotStarted::GivenUp);
    }
    let id = node.runtime.create_container(&sandbox.id, config, sandbox_config).await.map_err(|err| {
        let message = answer(&err);
        node.events.record(&about, Level::Warning, "Failed", &format!("Error: {message}"));
        NotStarted::failed("CreateContainerError", message)
    })?;
    node.owns(&task.id.uid, &id);
    node.events.record(&about, Level::Normal, "Created", "Container created");

    node.runtime.start_container(&id).await.map_err(|err| {
        let message = answer(&err);
        node.events.record(&about, Level::Warning, "Failed", &format!("Error: {message}"));
        NotStarted::failed("RunContainerError", message)
    })?;
    drop(turn);
    node.events.record(&about, Level::Normal, "Started", "Container started");
    task.inbox.tell(|news| news.look = true);
    post_start(task, &member, &id, &about, stop).await
}

async fn post_start(
    task: &Task,
    member: &Member<'_>,
    id: &str,
    about: &About,
    stop: &CancellationToken,
) -> Result<(), NotStarted> {
    let hook = member.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
    let Some(hook) = hook else { return Ok(()) };
    let run = tokio::select! {
        run = hooks::run(task, member, id, hook) => run,
        () = stop.cancelled() => return Err(NotStarted::GivenUp),
    };
    let Err(problem) = run else { return Ok(()) };
    task.node.events.record(about, Level::Warning, "FailedPostStartHook", "PostStartHook failed");
    task.node.events.record(about, Level::Normal, "Killing", "FailedPostStartHook");
    let grace = Duration::from_secs(HOOK_FAILED_GRACE.unsigned_abs());
    if let Err(err) = task.node.runtime.stop_container(id, grace).await {
        tracing::warn!(pod = %task.id, container = member.name(), error = %err, "container not stopped");
    }
    Err(NotStarted::failed("PostStartHookError", problem))
}

/// The runtime's answer without its code, as kubelets show it for containers.
fn answer(err: &cri::Error) -> String {
    match err {
        cri::Error::Call { message, .. } => message.clone(),
        other => other.event_text(),
    }
}

/// Everything that the runtime needs to know about the container.
async fn configure(
    task: &Task,
    spec: &PodSpec,
    member: &Member<'_>,
    image: &Image,
    attempt: u32,
) -> Result<cri::v1::ContainerConfig, String> {
    let node = &task.node;
    let container = &member.container;
    security::check_non_root(spec, container, image, &task.id.to_string())?;
    let ips = task.ips(spec);
    let host_ip = node.config.node_ip.to_string();
    let volumes = Volumes { node, id: &task.id, pod: &task.pod, spec, age: Age::Fresh };
    let sources = Sources::fetch(&node.objects, &task.id.namespace, container).await.map_err(|err| err.to_string())?;
    let known = node.services.borrow().clone();
    let services: Vec<_> = known.iter().flat_map(|known| known.services.values().cloned()).collect();
    let links = spec.enable_service_links.unwrap_or(true);
    let given = Given {
        fields: volumes.fields(&host_ip, &ips),
        sources: &sources,
        services: env::services::variables(&services, &task.id.namespace, links),
    };
    let env = env::environment(container, &given).map_err(|err| err.to_string())?;

    let pod_dir = node.config.pod_dir(&task.id.uid);
    let mut mounted = mounts::of_volumes(&volumes, member, &env)?;
    mounted.extend(mounts::etc_hosts(&pod_dir, member, &hosts_file(task, spec, &ips)).map_err(|err| err.to_string())?);
    let notes = Notes::new(&task.pod, container, attempt);
    let last_words = mounts::termination_log(&pod_dir, member.name(), attempt, &notes.message_path);
    mounted.push(last_words.map_err(|err| format!("termination log: {err}"))?);
    let target = member.target.and_then(|target| task.seen.current(target)).map(|target| target.id.clone());
    Ok(container::config(container::Parts {
        id: &task.id,
        spec,
        member,
        notes: &notes,
        image,
        env: &env,
        mounts: mounted,
        target: target.as_deref().filter(|_| member.class == Class::Ephemeral),
        seccomp_dir: &node.config.state_dir.join("seccomp"),
        machine_bytes: node.machine.memory_bytes(),
    }))
}

fn hosts_file(task: &Task, spec: &PodSpec, ips: &[String]) -> String {
    if spec.host_network.unwrap_or(false) {
        return hosts::host_network(spec, &std::fs::read_to_string("/etc/hosts").unwrap_or_default());
    }
    let PodRef { namespace, name, .. } = &task.id;
    let (hostname, fqdn) = hosts::names(spec, name, namespace, &task.node.config.cluster_domain);
    hosts::own_network(spec, ips, &hostname, fqdn.as_deref())
}

/// Gives a running container the limits of its spec; the pod's own limits come first, so both fit at any
/// time. What the runtime refuses is an event.
pub(crate) async fn resize(task: &Task, spec: &PodSpec, name: &str) {
    let node = &task.node;
    let Some(member) = members::find(spec, name) else { return };
    let Some(seen) = task.seen.current(name) else { return };
    let cgroup = resources::cgroup(&node.config.cgroup_parent, spec, &task.id.uid);
    let limits = resources::of_pod(spec);
    let update = async {
        cgroup::make(&cgroup, &limits).map_err(|err| err.to_string())?;
        let wanted = resources::for_runtime(spec, &member.container, node.machine.memory_bytes());
        node.runtime.update_container_resources(&seen.id, wanted).await.map_err(|err| answer(&err))
    };
    if let Err(problem) = update.await {
        let message = format!("Error resizing container {name}: {problem}");
        node.events.record(&task.about(spec, name), Level::Warning, "ResizeError", &message);
    }
}
