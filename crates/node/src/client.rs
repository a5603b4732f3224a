//! The connection to the API server, as the node's own user.

use std::time::Duration;

use kube::config::AuthInfo;
use kube::{Client, Config as ClientConfig};

use crate::config::Config;

/// A server that does not take a connection in this time is tried again.
const CONNECT: Duration = Duration::from_secs(5);

/// The client cannot be made from the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the API server's address {0} is no URL")]
    Address(String),
    #[error("certificates of the node's client are unusable")]
    Certificates(#[source] Box<kube::Error>),
}

/// No answer takes longer, watches aside.
const ANSWER: Duration = Duration::from_secs(30);

/// Bounds a request: a server that hangs must not hang the node.
pub(crate) async fn bounded<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late = || kube::Error::Service(format!("no answer from the API server within {ANSWER:?}").into());
    tokio::time::timeout(ANSWER, request).await.unwrap_or_else(|_| Err(late()))
}

/// Makes the client; nothing is sent yet.
pub(crate) fn connect(config: &Config) -> Result<Client, ClientError> {
    let address = config.server.parse().map_err(|_| ClientError::Address(config.server.clone()))?;
    let mut client = ClientConfig::new(address);
    client.root_cert_file = Some(config.ca.clone());
    client.connect_timeout = Some(CONNECT);
    client.auth_info = AuthInfo {
        client_certificate: Some(config.cert.to_string_lossy().into_owned()),
        client_key: Some(config.key.to_string_lossy().into_owned()),
        ..AuthInfo::default()
    };
    Client::try_from(client).map_err(|source| ClientError::Certificates(Box::new(source)))
}
