//! The ConfigMaps, Secrets and tokens that pods refer to.
//!
//! They are asked for by name when a pod needs them, and never listed: a node must see only what its
//! own pods use. Many pods refer to the same object (their namespace's root certificates, for one), so
//! what is only looked at to see whether it changed is fetched once for all of them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex as AsyncMutex;

use crate::client::bounded;
use crate::labels::PodRef;

/// The API server did not give an object.
#[derive(Debug, thiserror::Error)]
#[error("failed to fetch {kind} {namespace}/{name}: {}", words(.source))]
pub(crate) struct FetchError {
    kind: &'static str,
    namespace: String,
    name: String,
    // Boxed: it is far larger than everything else.
    source: Box<kube::Error>,
}

/// What the API server said, or why it said nothing.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// A container is about to start with it.
    Fresh,
    /// Something shows it already, and follows.
    Recent,
}

/// What counts as recent; less than the time between two looks at the same object.
const RECENT: Duration = Duration::from_secs(10);
/// More objects than this are not remembered.
const REMEMBERED: usize = 1024;

/// Looks up what pods refer to.
pub(crate) struct Objects {
    client: Client,
    config_maps: Cache<ConfigMap>,
    secrets: Cache<Secret>,
}

/// An answer and when it came.
type Slot<K> = Arc<AsyncMutex<Option<(Instant, Option<Arc<K>>)>>>;

/// The last answers, by namespace and name. Whoever asks while an answer is under way waits for it.
struct Cache<K> {
    slots: Mutex<HashMap<(String, String), Slot<K>>>,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { slots: Mutex::default() }
    }
}

impl<K> Cache<K> {
    fn slot(&self, namespace: &str, name: &str) -> Slot<K> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= REMEMBERED {
            slots.clear();
        }
        slots.entry((namespace.to_owned(), name.to_owned())).or_default().clone()
    }
}

impl Objects {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, config_maps: Cache::default(), secrets: Cache::default() }
    }

    /// `None` when there is no such ConfigMap.
    pub(crate) async fn config_map(
        &self,
        namespace: &str,
        name: &str,
        age: Age,
    ) -> Result<Option<Arc<ConfigMap>>, FetchError> {
        self.cached(&self.config_maps, ("configmap", namespace, name), age).await
    }

    /// `None` when there is no such Secret.
    pub(crate) async fn secret(
        &self,
        namespace: &str,
        name: &str,
        age: Age,
    ) -> Result<Option<Arc<Secret>>, FetchError> {
        self.cached(&self.secrets, ("secret", namespace, name), age).await
    }

    async fn cached<K>(
        &self,
        cache: &Cache<K>,
        (kind, namespace, name): (&'static str, &str, &str),
        age: Age,
    ) -> Result<Option<Arc<K>>, FetchError>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let slot = cache.slot(namespace, name);
        let mut held = slot.lock().await;
        if let Some((_, object)) = held.as_ref().filter(|(at, _)| age == Age::Recent && at.elapsed() < RECENT) {
            return Ok(object.clone());
        }
        let object = self.get(kind, namespace, name).await?;
        *held = Some((Instant::now(), object.clone()));
        Ok(object)
    }

    /// `None` when there is no such ServiceAccount.
    pub(crate) async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<ServiceAccount>>, FetchError> {
        self.get("serviceaccount", namespace, name).await
    }

    /// The runtime handler of a RuntimeClass; `None` when there is no such class.
    pub(crate) async fn runtime_handler(&self, class: &str) -> Result<Option<String>, FetchError> {
        let api: Api<RuntimeClass> = Api::all(self.client.clone());
        let found = bounded(api.get_opt(class)).await.map_err(|source| failed("runtimeclass", "", class, source))?;
        Ok(found.map(|class| class.handler))
    }

    async fn get<K>(&self, kind: &'static str, namespace: &str, name: &str) -> Result<Option<Arc<K>>, FetchError>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let object = bounded(api.get_opt(name)).await.map_err(|source| failed(kind, namespace, name, source))?;
        Ok(object.map(Arc::new))
    }

    /// A token of a service account that is valid as long as the pod exists.
    pub(crate) async fn token(&self, pod: &PodRef, account: &str, ask: TokenAsk) -> Result<TokenRequest, FetchError> {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: ask.audience.map(|audience| vec![audience]),
                expiration_seconds: Some(ask.seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(pod.name.clone()),
                    uid: Some(pod.uid.clone()),
                }),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &pod.namespace);
        bounded(api.create_token_request(account, &PostParams::default(), &request))
            .await
            .map_err(|source| failed("token of serviceaccount", &pod.namespace, account, source))
    }
}

/// What a token shall be good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenAsk {
    /// The API server if unset.
    pub audience: Option<String>,
    pub seconds: i64,
}

fn failed(kind: &'static str, namespace: &str, name: &str, source: kube::Error) -> FetchError {
    FetchError { kind, namespace: namespace.to_owned(), name: name.to_owned(), source: Box::new(source) }
}
