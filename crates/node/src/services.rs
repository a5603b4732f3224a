//! The services of the cluster and their endpoints, as this node last saw them.
//!
//! DNS and the service proxy are projections of a [`Services`] snapshot. It follows the API by watches; while the
//! API server is away, the last snapshot stays in force.
//!
//! Deliberately absent: pods. Host ports, the one thing that the proxy takes from pods, come from the kubelet.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as follow};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::patience::Patience;

/// Label of a slice that names its service (KEP-752).
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Namespace and name.
pub type Named = (String, String);

/// Services and endpoint slices at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Services {
    /// Services by namespace and name.
    pub services: BTreeMap<Named, Arc<Service>>,
    /// Slices by namespace and name.
    pub slices: BTreeMap<Named, Arc<EndpointSlice>>,
}

impl Services {
    /// The slices of each service.
    pub fn by_service(&self) -> BTreeMap<Named, Vec<&EndpointSlice>> {
        let mut found: BTreeMap<Named, Vec<&EndpointSlice>> = BTreeMap::new();
        for ((namespace, _), slice) in &self.slices {
            if let Some(service) = slice.labels().get(SERVICE_NAME) {
                found.entry((namespace.clone(), service.clone())).or_default().push(slice);
            }
        }
        found
    }
}

enum Seen {
    Services(Change<Service>),
    Slices(Change<EndpointSlice>),
}

enum Change<K> {
    All(BTreeMap<Named, Arc<K>>),
    One(Named, Arc<K>),
    Gone(Named),
}

/// Follows services and slices until `stop`; publishes only complete snapshots.
pub async fn run(client: Client, publish: watch::Sender<Option<Arc<Services>>>, stop: CancellationToken) {
    let services = changes::<Service>(client.clone()).map(Seen::Services);
    let slices = changes::<EndpointSlice>(client).map(Seen::Slices);
    let mut seen = futures::stream::select(Box::pin(services), Box::pin(slices));
    let (mut known, mut have_services, mut have_slices) = (Services::default(), false, false);
    while let Some(Some(change)) = stop.run_until_cancelled(seen.next()).await {
        match change {
            Seen::Services(change) => {
                have_services |= matches!(change, Change::All(_));
                apply(&mut known.services, change);
            }
            Seen::Slices(change) => {
                have_slices |= matches!(change, Change::All(_));
                apply(&mut known.slices, change);
            }
        }
        if have_services && have_slices {
            publish.send_replace(Some(Arc::new(known.clone())));
        }
    }
}

fn apply<K>(known: &mut BTreeMap<Named, Arc<K>>, change: Change<K>) {
    match change {
        Change::All(all) => *known = all,
        Change::One(name, object) => {
            known.insert(name, object);
        }
        Change::Gone(name) => {
            known.remove(&name);
        }
    }
}

/// What happens to all objects of a type; a lost watch is taken up again with back-off.
fn changes<K>(client: Client) -> impl Stream<Item = Change<K>> + Send
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let mut listed: BTreeMap<Named, Arc<K>> = BTreeMap::new();
    follow(Api::<K>::all(client), watcher::Config::default().any_semantic())
        .backoff(Patience::default())
        .inspect_err(|error| tracing::debug!(%error, "a watch was lost and will be taken up again"))
        .filter_map(|event| futures::future::ready(event.ok()))
        .filter_map(move |event| {
            let named = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
            let change = match event {
                Event::Init => {
                    listed.clear();
                    None
                }
                Event::InitApply(object) => {
                    listed.insert(named(&object), Arc::new(object));
                    None
                }
                Event::InitDone => Some(Change::All(std::mem::take(&mut listed))),
                Event::Apply(object) => Some(Change::One(named(&object), Arc::new(object))),
                Event::Delete(object) => Some(Change::Gone(named(&object))),
            };
            futures::future::ready(change)
        })
}
