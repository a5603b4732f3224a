//! Asks the runtime what it has of a pod.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use cri::v1::{ContainerFilter, ContainerState, NamespaceMode, PodSandboxFilter, PodSandboxState};
use jiff::Timestamp;

use crate::labels::{Notes, POD_UID};
use crate::pod::observed::{Container, Observed, Sandbox, State};
use crate::pod::resources::Limits;

/// So much of a termination message is kept, in bytes.
const MESSAGE_BYTES: u64 = 4096;
/// So much of the log stands in for a missing message, in bytes and lines.
const LOG_BYTES: u64 = 2048;
const LOG_LINES: usize = 80;

/// All sandboxes and containers of the pod with that uid. What cannot change any more is taken from
/// `before`.
pub(crate) async fn observe(runtime: &cri::Runtime, uid: &str, before: &Observed) -> Result<Observed, cri::Error> {
    let labels = BTreeMap::from([(POD_UID.to_owned(), uid.to_owned())]);
    let sandboxes = PodSandboxFilter { label_selector: labels.clone(), ..PodSandboxFilter::default() };
    let containers = ContainerFilter { label_selector: labels, ..ContainerFilter::default() };
    let (sandboxes, containers) =
        tokio::try_join!(runtime.list_pod_sandboxes(sandboxes), runtime.list_containers(containers))?;
    let mut seen = Observed::default();
    for listed in sandboxes {
        let ready = listed.state() == PodSandboxState::SandboxReady;
        let known = before.sandboxes.iter().find(|known| known.id == listed.id && known.ready == ready);
        let sandbox = match known {
            Some(known) => Some(known.clone()),
            None => sandbox(runtime, &listed.id).await?,
        };
        seen.sandboxes.extend(sandbox);
    }
    for listed in containers {
        let ended = listed.state() == ContainerState::ContainerExited;
        let known = before.containers.iter().find(|known| known.id == listed.id && known.state == State::Exited);
        let container = match known.filter(|_| ended) {
            Some(known) => Some(known.clone()),
            None => container(runtime, &listed.id, &listed.pod_sandbox_id).await?,
        };
        seen.containers.extend(container);
    }
    seen.sandboxes.sort_by_key(|sandbox| std::cmp::Reverse((sandbox.created, sandbox.attempt)));
    seen.containers.sort_by_key(|container| std::cmp::Reverse((container.created, container.notes.restart_count)));
    Ok(seen)
}

/// `None` when it has gone since it was listed.
async fn sandbox(runtime: &cri::Runtime, id: &str) -> Result<Option<Sandbox>, cri::Error> {
    let status = match runtime.pod_sandbox_status(id).await {
        Err(err) if err.not_found() => return Ok(None),
        other => other?,
    };
    let options = status.linux.as_ref().and_then(|linux| linux.namespaces.as_ref()?.options.as_ref());
    let host_network = options.is_some_and(|options| options.network() == NamespaceMode::Node);
    let ready = status.state() == PodSandboxState::SandboxReady;
    let network = status.network.unwrap_or_default();
    let first = Some(network.ip).filter(|ip| !ip.is_empty());
    let more = network.additional_ips.into_iter().map(|ip| ip.ip);
    Ok(Some(Sandbox {
        id: status.id,
        attempt: status.metadata.map(|metadata| metadata.attempt).unwrap_or_default(),
        ready,
        ips: first.into_iter().chain(more).collect(),
        host_network,
        created: time(status.created_at).unwrap_or_default(),
    }))
}

async fn container(runtime: &cri::Runtime, id: &str, sandbox: &str) -> Result<Option<Container>, cri::Error> {
    let status = match runtime.container_status(id).await {
        Err(err) if err.not_found() => return Ok(None),
        other => other?,
    };
    let state = match status.state() {
        ContainerState::ContainerCreated => State::Created,
        ContainerState::ContainerRunning => State::Running,
        ContainerState::ContainerExited => State::Exited,
        ContainerState::ContainerUnknown => State::Unknown,
    };
    let notes = Notes::from_annotations(&status.annotations);
    let message = if state == State::Exited { last_words(&status, &notes) } else { String::new() };
    Ok(Some(Container {
        sandbox: sandbox.to_owned(),
        name: status.labels.get(crate::labels::CONTAINER_NAME).cloned().unwrap_or_default(),
        notes,
        state,
        image: status.image.map(|image| image.image).unwrap_or_default(),
        image_ref: status.image_ref,
        created: time(status.created_at).unwrap_or_default(),
        started: time(status.started_at),
        finished: time(status.finished_at),
        exit_code: status.exit_code,
        reason: status.reason,
        message,
        log_path: status.log_path,
        limits: status.resources.and_then(|resources| resources.linux).as_ref().map(Limits::of_runtime),
        id: status.id,
    }))
}

/// Zero is «not yet».
fn time(nanos: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(nanos)).ok().filter(|_| nanos != 0)
}

/// What a container left as its termination message, or else the runtime's own message.
fn last_words(status: &cri::v1::ContainerStatus, notes: &Notes) -> String {
    let mount = status.mounts.iter().find(|mount| mount.container_path == notes.message_path);
    let left = mount.map(|mount| tail(&mount.host_path, MESSAGE_BYTES)).and_then(Result::ok).unwrap_or_default();
    if !left.is_empty() {
        return left;
    }
    if notes.message_policy == "FallbackToLogsOnError" && status.exit_code != 0 {
        // Every line is longer in the log than what the container wrote.
        let log = tail(&status.log_path, 4 * LOG_BYTES).unwrap_or_default();
        let text = log_text(&log);
        if !text.is_empty() {
            return text;
        }
    }
    status.message.clone()
}

/// The end of a file, as text.
fn tail(path: &str, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut data = Vec::new();
    file.take(bytes).read_to_end(&mut data)?;
    Ok(String::from_utf8_lossy(&data).into_owned())
}

/// What the lines of a CRI log say, the last ones.
fn log_text(log: &str) -> String {
    let mut text = String::new();
    let lines: Vec<_> = log.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
        let mut parts = line.splitn(4, ' ');
        let (Some(_time), Some("stdout" | "stderr"), Some(tag), Some(said)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        text.push_str(said);
        if tag.starts_with('F') {
            text.push('\n');
        }
    }
    let limit = usize::try_from(LOG_BYTES).unwrap_or(usize::MAX);
    let start = text.len().saturating_sub(limit);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.split_off(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_become_text() {
        let log = "cut off\n2026-01-01T00:00:00Z stdout P a\n2026-01-01T00:00:00Z stdout F b c\n\
                   2026-01-01T00:00:00Z stderr F d\n";
        assert_eq!(log_text(log), "ab c\nd\n");
    }
}
