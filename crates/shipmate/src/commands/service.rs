//! `shipmate service`: how services are reached from this machine.

use anyhow::bail;
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::find_running;
use crate::cli::{self, Format};
use crate::{client, output};

/// One service and its URLs from outside the cluster.
struct Reached {
    namespace: String,
    name: String,
    urls: Vec<String>,
}

pub(crate) fn run(arguments: &cli::Service) -> anyhow::Result<()> {
    let cluster = find_running(&arguments.which)?;
    let address = match (cluster.config().network(), cluster.config().real_nodes().first()) {
        (Some(network), Some(node)) => network.node_ip(node).to_string(),
        _ => bail!("the nodes of cluster {} are simulated: no service is reached there", cluster.config().name),
    };
    let access = cluster.access()?;
    let all = client::with(&access, async |client| list(client, &address).await)?;
    let chosen: Vec<&Reached> = match &arguments.service {
        None => all.iter().collect(),
        Some(wanted) => {
            let (namespace, name) = wanted.split_once('/').unwrap_or(("default", wanted));
            let found = all.iter().find(|service| service.namespace == namespace && service.name == name);
            let Some(found) = found else { bail!("there is no service {name} in namespace {namespace}") };
            if found.urls.is_empty() && arguments.url {
                bail!(
                    "service {namespace}/{name} has no node port: \
                     `kubectl -n {namespace} patch service {name} -p '{{\"spec\":{{\"type\":\"NodePort\"}}}}'` gives it one"
                );
            }
            vec![found]
        }
    };
    print(&chosen, arguments.url, arguments.output.output)
}

fn print(services: &[&Reached], urls_only: bool, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let one =
            |service: &&Reached| json!({"namespace": service.namespace, "name": service.name, "urls": service.urls});
        return output::print_json(&services.iter().map(one).collect::<Vec<Value>>());
    }
    if urls_only {
        let urls: String = services.iter().flat_map(|service| &service.urls).map(|url| format!("{url}\n")).collect();
        return output::print(&urls);
    }
    let row = |service: &&Reached| {
        let urls = if service.urls.is_empty() { "no node port".to_owned() } else { service.urls.join(" ") };
        vec![service.namespace.clone(), service.name.clone(), urls]
    };
    output::print_table(&["NAMESPACE", "NAME", "URL"], &services.iter().map(row).collect::<Vec<_>>())
}

async fn list(client: Client, address: &str) -> anyhow::Result<Vec<Reached>> {
    let services: Api<Service> = Api::all(client);
    let listed = services.list(&ListParams::default()).await?;
    Ok(listed
        .into_iter()
        .map(|service| {
            let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
            let urls = ports
                .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
                .filter_map(|port| {
                    let secure = port.port == 443 || port.name.as_deref() == Some("https");
                    let scheme = if secure { "https" } else { "http" };
                    port.node_port.map(|node_port| format!("{scheme}://{address}:{node_port}"))
                })
                .collect();
            Reached { namespace: service.namespace().unwrap_or_default(), name: service.name_any(), urls }
        })
        .collect())
}
