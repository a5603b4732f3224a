//! The ConfigMaps, Secrets and tokens that pods refer to.
//!
//! They are asked for by name when a pod needs them, and never listed: a node must see only what its
//! own pods use.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

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

/// Looks up what pods refer to.
#[derive(Clone)]
pub(crate) struct Objects {
    client: Client,
}

impl Objects {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// `None` when there is no such ConfigMap.
    pub(crate) async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<Arc<ConfigMap>>, FetchError> {
        self.get("configmap", namespace, name).await
    }

    /// `None` when there is no such Secret.
    pub(crate) async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, FetchError> {
        self.get("secret", namespace, name).await
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
