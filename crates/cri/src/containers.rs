//! CRI's calls on containers.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::proto::runtime::v1 as cri;
use crate::runtime::{ACTION, QUERY};
use crate::{Error, Runtime};

/// CRI knows of the end of a container some 10 ms after its event; a busy disk makes it longer.
const SETTLE: Duration = Duration::from_secs(10);
const SETTLE_POLL: Duration = Duration::from_millis(5);

/// What a command printed and how it ended.
pub type ExecOutput = cri::ExecSyncResponse;

impl Runtime {
    /// Makes a container in a sandbox and answers its id. `sandbox_config` is the one that the
    /// sandbox was made with.
    pub async fn create_container(
        &self,
        sandbox: &str,
        config: cri::ContainerConfig,
        sandbox_config: cri::PodSandboxConfig,
    ) -> Result<String, Error> {
        let request = cri::CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        let mut client = self.runtime();
        let answer = self.call("CreateContainer", ACTION, client.create_container(request)).await?;
        Ok(answer.container_id)
    }

    /// Starts a created container.
    pub async fn start_container(&self, container: &str) -> Result<(), Error> {
        let request = cri::StartContainerRequest { container_id: container.to_owned() };
        let mut client = self.runtime();
        self.call("StartContainer", ACTION, client.start_container(request)).await?;
        Ok(())
    }

    /// Sends the stop signal and, after `grace`, SIGKILL. Idempotent.
    pub async fn stop_container(&self, container: &str, grace: Duration) -> Result<(), Error> {
        let request = cri::StopContainerRequest { container_id: container.to_owned(), timeout: whole_seconds(grace) };
        let mut client = self.runtime();
        let limit = grace.saturating_add(ACTION);
        self.call("StopContainer", limit, client.stop_container(request)).await?;
        Ok(())
    }

    /// Removes a container, killing it first if it runs. Idempotent. Its log file stays.
    pub async fn remove_container(&self, container: &str) -> Result<(), Error> {
        let request = cri::RemoveContainerRequest { container_id: container.to_owned() };
        let mut client = self.runtime();
        self.call("RemoveContainer", ACTION, client.remove_container(request)).await?;
        Ok(())
    }

    /// The containers that the filter lets through; the default filter is all.
    pub async fn list_containers(&self, filter: cri::ContainerFilter) -> Result<Vec<cri::Container>, Error> {
        let request = cri::ListContainersRequest { filter: Some(filter) };
        let mut client = self.runtime();
        let answer = self.call("ListContainers", QUERY, client.list_containers(request)).await?;
        Ok(answer.containers)
    }

    /// The container's state, times, exit code and reason.
    pub async fn container_status(&self, container: &str) -> Result<cri::ContainerStatus, Error> {
        let answer = self.container_status_of(container, false).await?;
        self.part("ContainerStatus", "status", answer.status)
    }

    /// As [`Runtime::container_status`], with the runtime's JSON (pid, runtimeSpec) in `info`.
    pub async fn container_status_verbose(&self, container: &str) -> Result<cri::ContainerStatusResponse, Error> {
        self.container_status_of(container, true).await
    }

    /// The status of a container whose [`crate::events::Exit`] has come. CRI learns of the end from
    /// the same event, and a little later: this waits until it has. If it takes too long, the
    /// answer is the status as it is.
    pub async fn exited_container_status(&self, container: &str) -> Result<cri::ContainerStatus, Error> {
        let end = Instant::now() + SETTLE;
        loop {
            let status = self.container_status(container).await?;
            let settled = status.state() == cri::ContainerState::ContainerExited;
            if settled || Instant::now() >= end {
                return Ok(status);
            }
            sleep(SETTLE_POLL).await;
        }
    }

    async fn container_status_of(&self, container: &str, verbose: bool) -> Result<cri::ContainerStatusResponse, Error> {
        let request = cri::ContainerStatusRequest { container_id: container.to_owned(), verbose };
        let mut client = self.runtime();
        self.call("ContainerStatus", QUERY, client.container_status(request)).await
    }

    /// Changes the limits of a container in place.
    pub async fn update_container_resources(
        &self,
        container: &str,
        resources: cri::LinuxContainerResources,
    ) -> Result<(), Error> {
        let request = cri::UpdateContainerResourcesRequest {
            container_id: container.to_owned(),
            linux: Some(resources),
            ..Default::default()
        };
        let mut client = self.runtime();
        self.call("UpdateContainerResources", ACTION, client.update_container_resources(request)).await?;
        Ok(())
    }

    /// Opens the log file anew after it was renamed; the container must run.
    pub async fn reopen_container_log(&self, container: &str) -> Result<(), Error> {
        let request = cri::ReopenContainerLogRequest { container_id: container.to_owned() };
        let mut client = self.runtime();
        self.call("ReopenContainerLog", QUERY, client.reopen_container_log(request)).await?;
        Ok(())
    }

    /// Runs a command to its end, or kills it after `limit` (rounded up to seconds, at least one):
    /// then the error's code is DeadlineExceeded.
    pub async fn exec_sync(&self, container: &str, command: Vec<String>, limit: Duration) -> Result<ExecOutput, Error> {
        let request = cri::ExecSyncRequest {
            container_id: container.to_owned(),
            cmd: command,
            timeout: whole_seconds(limit).max(1),
        };
        let mut client = self.runtime();
        // containerd keeps the time itself; ours only ends a call that hangs.
        let limit = limit.saturating_add(ACTION);
        self.call("ExecSync", limit, client.exec_sync(request)).await
    }

    /// A single-use URL that runs a command, over SPDY or WebSocket, served in the network
    /// namespace of containerd. [`Runtime::exec`] does the same without a URL.
    pub async fn exec_url(&self, request: cri::ExecRequest) -> Result<String, Error> {
        let mut client = self.runtime();
        let answer = self.call("Exec", QUERY, client.exec(request)).await?;
        Ok(answer.url)
    }

    /// A single-use URL that attaches to the streams of the container's first process.
    pub async fn attach_url(&self, request: cri::AttachRequest) -> Result<String, Error> {
        let mut client = self.runtime();
        let answer = self.call("Attach", QUERY, client.attach(request)).await?;
        Ok(answer.url)
    }
}

/// CRI counts in seconds: a fraction must not become "at once".
fn whole_seconds(duration: Duration) -> i64 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
