//! From a parsed request to the function that answers it.

use std::sync::Arc;

use api::kind::Alias;
use api::{Catalogue, Key, Kind, Reason, Status};
use http::StatusCode;

use crate::http::media::Accept;
use crate::write::Part;
use crate::{Attributes, Request, Response, Server, auth, discovery, metrics, proxy, read, subresource, write};

/// A kind in the version in which a request names it.
#[derive(Clone)]
pub(crate) struct Served {
    /// The stored kind.
    pub(crate) kind: Arc<Kind>,
    /// The way to and from the version asked for, unless that is the stored one.
    pub(crate) alias: Option<Alias>,
}

impl Served {
    /// Finds what a URL names.
    pub(crate) fn find(catalogue: &Catalogue, group: &str, version: &str, plural: &str) -> Option<Self> {
        if let Some(kind) = catalogue.by_plural(group, plural)
            && kind.version == version
        {
            return Some(Self { kind: Arc::clone(kind), alias: None });
        }
        catalogue.aliases().iter().filter(|alias| alias.group == group && alias.version == version).find_map(|alias| {
            let kind = catalogue.by_kind(alias.stored.group, alias.stored.kind)?;
            (kind.plural == plural).then(|| Self { kind: Arc::clone(kind), alias: Some(*alias) })
        })
    }

    /// The stored version of a kind.
    pub(crate) fn stored(kind: &Arc<Kind>) -> Self {
        Self { kind: Arc::clone(kind), alias: None }
    }

    /// Group under which it is served.
    pub(crate) fn group(&self) -> &'static str {
        self.alias.map_or(self.kind.group, |alias| alias.group)
    }

    /// Version under which it is served.
    pub(crate) fn version(&self) -> &'static str {
        self.alias.map_or(self.kind.version, |alias| alias.version)
    }

    /// `apiVersion` of what is answered.
    pub(crate) fn api_version(&self) -> String {
        match (self.group(), self.version()) {
            ("", version) => version.to_owned(),
            (group, version) => format!("{group}/{version}"),
        }
    }

    /// The key of one object.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> Key {
        Key::new(self.kind.id, if self.kind.namespaced { namespace } else { "" }, name)
    }

    /// 404 for one object.
    pub(crate) fn not_found(&self, name: &str) -> Status {
        Status::not_found(self.group(), self.kind.plural, name)
    }
}

/// Answers an authenticated request.
///
/// # Errors
/// A refusal.
pub(crate) async fn route(server: &Arc<Server>, request: Request) -> Result<Response, Status> {
    let attributes = &request.attributes;
    auth::authorize(&server.auth, &server.store.view(), &request.user, attributes)?;
    if !attributes.is_resource || attributes.resource.is_empty() {
        let found = discovery::handle(server, &request).await?;
        return Ok(found.unwrap_or_else(|| Response::text(StatusCode::NOT_FOUND, "404 page not found\n")));
    }
    if let Some(what) = subresource::unstored(attributes) {
        return subresource::answer(server, what, request).await;
    }
    if attributes.group == metrics::GROUP {
        return metrics::handle(server, request).await;
    }
    let (group, version) = (attributes.group.as_str(), attributes.version.as_str());
    let Some(served) = Served::find(&server.catalogue, group, version, &attributes.resource) else {
        return Err(unknown_resource());
    };
    let is_namespace_itself = !served.kind.namespaced && attributes.name == attributes.namespace;
    if !served.kind.namespaced && !attributes.namespace.is_empty() && !is_namespace_itself {
        return Err(unknown_resource());
    }
    match attributes.subresource.as_str() {
        "" => main(server, &served, request).await,
        "log" | "exec" | "attach" | "portforward" | "proxy" => proxy::handle(server, request).await,
        "status" if served.kind.status => part(server, &served, request, Part::Status).await,
        "finalize" if is_namespace_itself => part(server, &served, request, Part::Finalize).await,
        "approval" if served.kind.plural == "certificatesigningrequests" => {
            part(server, &served, request, Part::Status).await
        }
        "ephemeralcontainers" | "resize" if is_pod(attributes) => part(server, &served, request, Part::Main).await,
        "scale" if served.kind.scale.is_some() => subresource::scale::handle(server, &served, request).await,
        "binding" if is_pod(attributes) => subresource::binding::handle(server, &served, request).await,
        "eviction" if is_pod(attributes) => subresource::eviction::handle(server, &served, request).await,
        "token" if attributes.resource == "serviceaccounts" => subresource::token(server, request).await,
        _ => Err(unknown_resource()),
    }
}

fn is_pod(attributes: &Attributes) -> bool {
    attributes.group.is_empty() && attributes.resource == "pods"
}

/// The object itself, or a collection.
async fn main(server: &Arc<Server>, served: &Served, request: Request) -> Result<Response, Status> {
    let accept = Accept::of(&request.headers);
    accept.check()?;
    let placed = !served.kind.namespaced || !request.attributes.namespace.is_empty();
    let named = !request.attributes.name.is_empty();
    match request.attributes.verb.as_str() {
        "get" if named && placed => read::get(server, served, &request, accept).await,
        "list" => read::list(server, served, &request, accept).await,
        "watch" => read::watch(server, served, &request, accept),
        "create" if placed && !named => write::http::create(server, served, request, accept).await,
        "update" if placed && named => write::http::update(server, served, request, accept, Part::Main).await,
        "patch" if placed && named => write::http::patch(server, served, request, accept, Part::Main).await,
        "delete" if placed && named => write::http::delete(server, served, request).await,
        "deletecollection" if placed => write::http::delete_collection(server, served, request).await,
        _ => Err(method_not_allowed()),
    }
}

/// A part of an object that is read and written like the whole.
async fn part(server: &Arc<Server>, served: &Served, request: Request, part: Part) -> Result<Response, Status> {
    let accept = Accept::of(&request.headers);
    accept.check()?;
    match request.attributes.verb.as_str() {
        "get" => read::get(server, served, &request, accept).await,
        "update" => write::http::update(server, served, request, accept, part).await,
        "patch" => write::http::patch(server, served, request, accept, part).await,
        _ => Err(method_not_allowed()),
    }
}

/// 404 for a resource that is not served.
pub(crate) fn unknown_resource() -> Status {
    Status::new(Reason::NotFound, "the server could not find the requested resource")
}

/// 405.
pub(crate) fn method_not_allowed() -> Status {
    Status::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
}
