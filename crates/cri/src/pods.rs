//! CRI's calls on pod sandboxes.

use crate::proto::runtime::v1 as cri;
use crate::runtime::{ACTION, QUERY};
use crate::{Error, Runtime};

impl Runtime {
    /// Makes a sandbox and its network, and answers its id. An empty `handler` is the default one.
    ///
    /// After a CNI failure the sandbox stays, not ready, and keeps its name: try again with the
    /// metadata's `attempt` raised, and remove the old one.
    pub async fn run_pod_sandbox(&self, config: cri::PodSandboxConfig, handler: &str) -> Result<String, Error> {
        let request = cri::RunPodSandboxRequest { config: Some(config), runtime_handler: handler.to_owned() };
        let mut client = self.runtime();
        // It may have to pull the pause image first.
        let limit = 2 * ACTION;
        let answer = self.call("RunPodSandbox", limit, client.run_pod_sandbox(request)).await?;
        Ok(answer.pod_sandbox_id)
    }

    /// Kills what runs in the sandbox and takes down its network. Idempotent.
    pub async fn stop_pod_sandbox(&self, sandbox: &str) -> Result<(), Error> {
        let request = cri::StopPodSandboxRequest { pod_sandbox_id: sandbox.to_owned() };
        let mut client = self.runtime();
        self.call("StopPodSandbox", ACTION, client.stop_pod_sandbox(request)).await?;
        Ok(())
    }

    /// Removes the sandbox and its containers, stopping them first. Idempotent. Its cgroup
    /// directory and log directory stay: they are the caller's.
    pub async fn remove_pod_sandbox(&self, sandbox: &str) -> Result<(), Error> {
        let request = cri::RemovePodSandboxRequest { pod_sandbox_id: sandbox.to_owned() };
        let mut client = self.runtime();
        self.call("RemovePodSandbox", ACTION, client.remove_pod_sandbox(request)).await?;
        Ok(())
    }

    /// The sandbox's state and addresses.
    pub async fn pod_sandbox_status(&self, sandbox: &str) -> Result<cri::PodSandboxStatus, Error> {
        let answer = self.sandbox_status_of(sandbox, false).await?;
        self.part("PodSandboxStatus", "status", answer.status)
    }

    /// As [`Runtime::pod_sandbox_status`], with the runtime's JSON (pid, runtimeSpec) in `info`.
    pub async fn pod_sandbox_status_verbose(&self, sandbox: &str) -> Result<cri::PodSandboxStatusResponse, Error> {
        self.sandbox_status_of(sandbox, true).await
    }

    async fn sandbox_status_of(&self, sandbox: &str, verbose: bool) -> Result<cri::PodSandboxStatusResponse, Error> {
        let request = cri::PodSandboxStatusRequest { pod_sandbox_id: sandbox.to_owned(), verbose };
        let mut client = self.runtime();
        self.call("PodSandboxStatus", QUERY, client.pod_sandbox_status(request)).await
    }

    /// The sandboxes that the filter lets through; the default filter is all.
    pub async fn list_pod_sandboxes(&self, filter: cri::PodSandboxFilter) -> Result<Vec<cri::PodSandbox>, Error> {
        let request = cri::ListPodSandboxRequest { filter: Some(filter) };
        let mut client = self.runtime();
        let answer = self.call("ListPodSandbox", QUERY, client.list_pod_sandbox(request)).await?;
        Ok(answer.items)
    }

    /// A single-use URL that forwards ports of the sandbox, over SPDY or WebSocket. It is served
    /// in the network namespace of containerd.
    pub async fn port_forward(&self, sandbox: &str, ports: Vec<i32>) -> Result<String, Error> {
        let request = cri::PortForwardRequest { pod_sandbox_id: sandbox.to_owned(), port: ports };
        let mut client = self.runtime();
        let answer = self.call("PortForward", QUERY, client.port_forward(request)).await?;
        Ok(answer.url)
    }
}
