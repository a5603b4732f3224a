//! The resource metrics API, `metrics.k8s.io/v1beta1`: what nodes and pods use right now, asked of their kubelets.
//!
//! Objects of this API are not stored: each request asks the kubelets of the nodes that it is about, at once and up to
//! a deadline. Which pods and nodes are meant is decided by the selectors of the pods and nodes themselves.
//!
//! Invariant: only what a kubelet measured is reported. Nodes that don't answer, simulated ones among them, are left
//! out with their pods, and so are pods that don't run.
//!
//! Deliberately absent: watching, and readings of earlier times.

#[cfg(test)]
mod cases;
mod render;
mod summary;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{Object, Status};
use k8s_openapi::api::core::v1::{Node, Pod};

use crate::http::media::Accept;
use crate::proxy::container;
use crate::read::Selection;
use crate::route::{method_not_allowed, unknown_resource};
use crate::{Request, Response, Server};
use render::Metrics;

/// The API group.
pub(crate) const GROUP: &str = "metrics.k8s.io";
/// Its version.
pub(crate) const VERSION: &str = "v1beta1";

/// Answers, authorized already, a request about the metrics of nodes or pods.
///
/// # Errors
/// 404 and 405 for what there is not, 400 for bad selectors.
pub(crate) async fn handle(server: &Arc<Server>, request: Request) -> Result<Response, Status> {
    let attributes = &request.attributes;
    let (namespace, name) = (attributes.namespace.as_str(), attributes.name.as_str());
    let of_nodes = match attributes.resource.as_str() {
        "nodes" if namespace.is_empty() => true,
        "pods" => false,
        _ => return Err(unknown_resource()),
    };
    if attributes.version != VERSION || !attributes.subresource.is_empty() {
        return Err(unknown_resource());
    }
    let one = match attributes.verb.as_str() {
        "get" if of_nodes || !namespace.is_empty() => true,
        "list" => false,
        _ => return Err(method_not_allowed()),
    };
    let accept = Accept::of(&request.headers);
    accept.check()?;
    let kind = server.catalogue.by_kind("", if of_nodes { "Node" } else { "Pod" }).ok_or_else(unknown_resource)?;
    let selection = Selection::parse(kind, namespace, name, &request.query)?;
    let view = server.store.view();
    let selected: Vec<&Arc<Object>> = selection.objects(&view, kind, None).collect();
    if one && selected.is_empty() {
        return Err(Status::not_found("", &attributes.resource, name));
    }
    let nodes: BTreeSet<&str> = match of_nodes {
        true => selected.iter().map(|node| &*node.header.key.name).collect(),
        false => selected.iter().filter_map(|pod| container::node(running(pod)?)).collect(),
    };
    let summaries = summary::ask(server, &view, nodes).await;
    let metrics = selected.into_iter().filter_map(|object| match of_nodes {
        true => Metrics::of_node(object.typed::<Node>()?, summaries.get(&*object.header.key.name)?),
        false => Metrics::of_pod(running(object)?, summaries.get(container::node(running(object)?)?)?),
    });
    let metrics: Vec<Metrics> = metrics.collect();
    if one && metrics.is_empty() {
        let (plural, name) =
            if of_nodes { ("nodemetrics", name.to_owned()) } else { ("podmetrics", format!("{namespace}/{name}")) };
        return Err(Status::not_found(GROUP, plural, &name));
    }
    render::answer(if of_nodes { "NodeMetrics" } else { "PodMetrics" }, &metrics, one, accept, &request.query)
}

/// A pod, unless it has not started or has ended.
fn running(object: &Object) -> Option<&Pod> {
    let pod = object.typed::<Pod>()?;
    let phase = pod.status.as_ref()?.phase.as_deref();
    (phase == Some("Running")).then_some(pod)
}
