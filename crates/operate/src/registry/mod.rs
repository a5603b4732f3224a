//! A client of OCI registries that sees each step: connection, TLS, challenge, token, document, blob.
//!
//! It begins its connections through an [`Access`], so that the same code asks from this machine and from a node. Every
//! step has a time limit, and every error says which step failed and what to look at next.
//!
//! Deliberately absent: pushing, retries (whoever asks knows how often is right), and trust in what a registry sends:
//! digests are checked by those who know them.

mod auth;
mod http;
mod proxy;
mod tls;

use std::sync::Arc;

use ::http::{Method, StatusCode, header};
use bytes::Bytes;
use cri::import::{Digest, ImageName, Version};
use http_body_util::BodyExt as _;
use tokio::sync::Mutex;

use crate::access::Access;

pub use auth::{Challenge, Credentials, fetch_token};
pub use http::{Answer, Failure, Step, Url, ask};
pub use proxy::HereByProxy;
pub use tls::{Certificate, Handshake, Trust};

/// Media types of manifests and indexes, as a registry is asked for them.
pub const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, */*";
/// No manifest, index or configuration is larger.
pub const MAX_DOCUMENT: usize = 8 << 20;
/// How often a registry may send us elsewhere for a blob.
const MAX_REDIRECTS: usize = 5;
/// Of an error's body, this much is read for its words.
const MAX_WORDS: usize = 4096;

/// What a registry refused, or why it can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It could not be asked.
    #[error("{url}: {failure}")]
    Failed {
        /// What was asked for.
        url: String,
        /// At which step, and why.
        failure: Failure,
    },
    /// It does not know that image.
    #[error("{url}: not found; check the repository and the tag")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// It wants other credentials.
    #[error("{url}: {why}")]
    Denied {
        /// What was asked for.
        url: String,
        /// What it said, and what to do.
        why: String,
    },
    /// It answered with another error.
    #[error("{url}: the registry answered {status}{words}")]
    Status {
        /// What was asked for.
        url: String,
        /// The code.
        status: StatusCode,
        /// What it said, with a colon in front; may be empty.
        words: String,
    },
    /// It sent something else than what was asked for.
    #[error("{url}: {problem}")]
    Wrong {
        /// What was asked for.
        url: String,
        /// What is wrong.
        problem: String,
    },
}

impl RegistryError {
    /// Whether the same request may work a little later.
    pub fn passing(&self) -> bool {
        match self {
            Self::Failed { failure, .. } => failure.step != Step::Tls,
            Self::Status { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound { .. } | Self::Denied { .. } | Self::Wrong { .. } => false,
        }
    }
}

/// A manifest or index as the registry sent it.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its bytes.
    pub bytes: Bytes,
    /// Their digest, computed here.
    pub digest: Digest,
    /// What the registry says it is.
    pub media_type: String,
}

/// How a registry is reached and trusted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// By http instead of https.
    pub plain_http: bool,
    /// Certificates that are trusted beside the machine's own, in PEM.
    pub authority: Option<Vec<u8>>,
    /// Who asks.
    pub credentials: Option<Credentials>,
}

/// One repository of a registry.
pub struct Repository {
    access: Arc<dyn Access>,
    base: Url,
    trust: Arc<Trust>,
    credentials: Option<Credentials>,
    /// The header that the registry took last.
    authorization: Mutex<Option<String>>,
}

/// The host that serves a domain of image names.
pub fn serving_host(domain: &str) -> &str {
    if domain == "docker.io" { "registry-1.docker.io" } else { domain }
}

impl Repository {
    /// The repository of an image name, asked through `access`.
    ///
    /// # Errors
    /// When the certificates can't be read, or the domain is no host.
    pub fn of(name: &ImageName, access: Arc<dyn Access>, options: &Options) -> Result<Self, RegistryError> {
        let scheme = if options.plain_http { "http" } else { "https" };
        let text = format!("{scheme}://{}/v2/{}", serving_host(&name.domain), name.repository);
        let wrong = |problem: String| RegistryError::Wrong { url: text.clone(), problem };
        let base = Url::parse(&text).map_err(wrong)?;
        let trust = Trust::of_this_machine(options.authority.as_deref()).map_err(wrong)?;
        let credentials = options.credentials.clone();
        Ok(Self { access, base, trust: Arc::new(trust), credentials, authorization: Mutex::default() })
    }

    /// The manifest or index of a tag or digest.
    ///
    /// # Errors
    /// When the registry can't be asked, refuses, or sends something else than that digest.
    pub async fn document(&self, version: &str) -> Result<Document, RegistryError> {
        let url = self.base.join(&format!("manifests/{version}"));
        let answer = self.authorized(&Method::GET, &url, &[(header::ACCEPT, MANIFESTS.to_owned())]).await?;
        let media_type = answer.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let bytes = answer.bytes(MAX_DOCUMENT).await.map_err(|failure| failed(&url, failure))?;
        let digest = Digest::of(&bytes);
        if version.starts_with("sha256:") && version != digest.as_str() {
            let problem = format!("the registry sent a document with the digest {digest}: do not trust it");
            return Err(RegistryError::Wrong { url: url.to_string(), problem });
        }
        Ok(Document { bytes, digest, media_type })
    }

    /// The digest that a tag points at now.
    ///
    /// # Errors
    /// As [`Repository::document`].
    pub async fn digest(&self, name: &ImageName) -> Result<Digest, RegistryError> {
        Ok(self.document(&version(name)).await?.digest)
    }

    /// A blob from a byte on; the answer may begin earlier, at 0, when the registry does not do ranges.
    ///
    /// # Errors
    /// When the registry can't be asked or refuses.
    pub async fn blob(&self, digest: &Digest, from: u64) -> Result<(Answer, u64), RegistryError> {
        let mut url = self.base.join(&format!("blobs/{digest}"));
        let range = (from > 0).then(|| (header::RANGE, format!("bytes={from}-")));
        let range: Vec<_> = range.into_iter().collect();
        let mut answer = self.exchange(&Method::GET, &url, &range, true).await?;
        for _ in 0..MAX_REDIRECTS {
            if !answer.status().is_redirection() {
                break;
            }
            let Some(target) = answer.header(header::LOCATION).and_then(|location| url.follow(location)) else { break };
            // The credentials are for the registry, and for nobody it sends us to.
            let own = target.authority() == self.base.authority();
            url = target;
            answer = self.exchange(&Method::GET, &url, &range, own).await?;
        }
        let answer = accept(&url, answer).await?;
        let begins = if answer.status() == StatusCode::PARTIAL_CONTENT { from } else { 0 };
        Ok((answer, begins))
    }

    async fn authorized(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(header::HeaderName, String)],
    ) -> Result<Answer, RegistryError> {
        accept(url, self.exchange(method, url, headers, true).await?).await
    }

    /// One request, and a second one when the registry asks who we are.
    async fn exchange(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(header::HeaderName, String)],
        own: bool,
    ) -> Result<Answer, RegistryError> {
        let mut all = headers.to_vec();
        if own && let Some(known) = self.authorization.lock().await.clone() {
            all.push((header::AUTHORIZATION, known));
        }
        let answer = self.once(method, url, &all).await?;
        if !own || answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let authorization = self.authorize(url, &answer).await?;
        let mut all = headers.to_vec();
        all.push((header::AUTHORIZATION, authorization.clone()));
        let answer = self.once(method, url, &all).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            *self.authorization.lock().await = Some(authorization);
        }
        Ok(answer)
    }

    async fn once(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(header::HeaderName, String)],
    ) -> Result<Answer, RegistryError> {
        let asked = ask(&*self.access, method, url, headers, &self.trust).await;
        asked.map_err(|failure| failed(url, failure))
    }

    /// The header that answers a challenge.
    async fn authorize(&self, url: &Url, answer: &Answer) -> Result<String, RegistryError> {
        let denied = |why: String| RegistryError::Denied { url: url.to_string(), why };
        let challenges: Vec<Challenge> =
            answer.headers(header::WWW_AUTHENTICATE).filter_map(Challenge::parse).collect();
        let Some(challenge) = challenges.first() else {
            return Err(denied("the registry says 401 Unauthorized and not how to log in".to_owned()));
        };
        match (challenge, &self.credentials) {
            (Challenge::Basic { .. }, Some(credentials)) => Ok(credentials.basic()),
            (Challenge::Basic { .. }, None) => Err(denied(
                "the registry wants a user and a password: use -u USER --password-stdin, or --pull-secret".to_owned(),
            )),
            (Challenge::Bearer(bearer), credentials) => {
                if let Some(token) = credentials.as_ref().and_then(Credentials::registry_token) {
                    return Ok(format!("Bearer {token}"));
                }
                let token = auth::fetch_token(&*self.access, bearer, credentials.as_ref(), &self.trust).await;
                token.map(|token| format!("Bearer {token}")).map_err(denied)
            }
        }
    }
}

/// The tag or digest of a name.
pub fn version(name: &ImageName) -> String {
    match &name.version {
        Version::Tag(version) | Version::Digest(version) => version.clone(),
    }
}

fn failed(url: &Url, failure: Failure) -> RegistryError {
    RegistryError::Failed { url: url.to_string(), failure }
}

/// Only answers that have what was asked for.
async fn accept(url: &Url, answer: Answer) -> Result<Answer, RegistryError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let url = url.to_string();
    if status == StatusCode::NOT_FOUND {
        return Err(RegistryError::NotFound { url });
    }
    let words = answer.bytes(MAX_WORDS).await.map(|bytes| words(&bytes)).unwrap_or_default();
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        let why = format!("the registry refuses these credentials: {status}{words}");
        return Err(RegistryError::Denied { url, why });
    }
    Err(RegistryError::Status { url, status, words })
}

/// The messages of a registry's error document, with a colon in front.
pub(crate) fn words(bytes: &[u8]) -> String {
    let document: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let errors = document["errors"].as_array().into_iter().flatten();
    let messages: Vec<&str> = errors.filter_map(|error| error["message"].as_str().or(error["code"].as_str())).collect();
    if messages.is_empty() { String::new() } else { format!(": {}", messages.join("; ")) }
}

/// Reads a body piece by piece; the error says at which step.
pub(crate) async fn next_piece(body: &mut Answer) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = tokio::time::timeout(http::STALL, body.body_mut().frame()).await;
        let frame =
            frame.map_err(|_| Failure::new(Step::Body, format!("nothing came for {} s", http::STALL.as_secs())))?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(Failure::new(Step::Body, http::root_cause(&error))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
