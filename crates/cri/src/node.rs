//! Calls about the runtime as a whole: versions, readiness, statistics, plugins.

use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use crate::proto::containerd::services::{introspection::v1 as introspection, version};
use crate::proto::runtime::v1 as cri;
use crate::runtime::{ACTION, QUERY};
use crate::{Error, Runtime};

/// A plugin of containerd, and why it did not load if it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Such as `io.containerd.grpc.v1`.
    pub kind: String,
    /// Such as `cri`.
    pub id: String,
    pub init_error: Option<String>,
}

impl Runtime {
    /// CRI's version and the runtime's name and version.
    pub async fn version(&self) -> Result<cri::VersionResponse, Error> {
        // The kubelet's own API version has been this constant since CRI began.
        let version = "0.1.0".to_owned();
        let request = cri::VersionRequest { version };
        let mut client = self.runtime();
        self.call("Version", QUERY, client.version(request)).await
    }

    /// containerd's own version, which it tells even without its CRI plugin.
    pub async fn containerd_version(&self) -> Result<String, Error> {
        let mut client = self.versions();
        let answer: version::v1::VersionResponse = self.call("containerd Version", QUERY, client.version(())).await?;
        Ok(answer.version)
    }

    /// Whether CRI is also served in its version of old, `runtime.v1alpha2`, which is all that a kubelet before 1.23
    /// speaks and nothing that one from 1.26 on does.
    pub async fn serves_v1alpha2(&self) -> Result<bool, Error> {
        // The message is the same in both versions; only the service's name differs.
        let request = tonic::Request::new(cri::VersionRequest { version: "0.1.0".to_owned() });
        let path = PathAndQuery::from_static("/runtime.v1alpha2.RuntimeService/Version");
        let mut client = Grpc::new(self.channel());
        let answer = async {
            client.ready().await.map_err(|error| tonic::Status::from_error(error.into()))?;
            client.unary(request, path, ProstCodec::<_, cri::VersionResponse>::default()).await
        };
        match self.call("Version of runtime.v1alpha2", QUERY, answer).await {
            Ok(_) => Ok(true),
            Err(error) if error.unimplemented() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The conditions RuntimeReady and NetworkReady, and the handlers' features.
    pub async fn status(&self) -> Result<cri::StatusResponse, Error> {
        self.status_of(false).await
    }

    /// As [`Runtime::status`], with the runtime's configuration in `info`.
    pub async fn status_verbose(&self) -> Result<cri::StatusResponse, Error> {
        self.status_of(true).await
    }

    async fn status_of(&self, verbose: bool) -> Result<cri::StatusResponse, Error> {
        let mut client = self.runtime();
        let request = cri::StatusRequest { verbose };
        self.call("Status", QUERY, client.status(request)).await
    }

    /// Tells the runtime the node's pod CIDR.
    pub async fn update_runtime_config(&self, pod_cidr: &str) -> Result<(), Error> {
        let network_config = Some(cri::NetworkConfig { pod_cidr: pod_cidr.to_owned() });
        let request = cri::UpdateRuntimeConfigRequest { runtime_config: Some(cri::RuntimeConfig { network_config }) };
        let mut client = self.runtime();
        self.call("UpdateRuntimeConfig", ACTION, client.update_runtime_config(request)).await?;
        Ok(())
    }

    /// The usage of one running container.
    pub async fn container_stats(&self, container: &str) -> Result<cri::ContainerStats, Error> {
        let request = cri::ContainerStatsRequest { container_id: container.to_owned() };
        let mut client = self.runtime();
        let answer = self.call("ContainerStats", QUERY, client.container_stats(request)).await?;
        self.part("ContainerStats", "stats", answer.stats)
    }

    /// The usage of every container that the filter lets through.
    pub async fn list_container_stats(
        &self,
        filter: cri::ContainerStatsFilter,
    ) -> Result<Vec<cri::ContainerStats>, Error> {
        let request = cri::ListContainerStatsRequest { filter: Some(filter) };
        let mut client = self.runtime();
        let answer = self.call("ListContainerStats", QUERY, client.list_container_stats(request)).await?;
        Ok(answer.stats)
    }

    /// containerd's plugins with their load errors; works when CRI itself is UNIMPLEMENTED.
    pub async fn plugins(&self) -> Result<Vec<Plugin>, Error> {
        let request = introspection::PluginsRequest::default();
        let mut client = self.introspection();
        let answer = self.call("Plugins", QUERY, client.plugins(request)).await?;
        let plugins = answer.plugins.into_iter().map(|plugin| Plugin {
            kind: plugin.r#type,
            id: plugin.id,
            init_error: plugin.init_err.map(|error| error.message),
        });
        Ok(plugins.collect())
    }
}
