//! The last steps of a way: the manifest, and whether it has something for the node.

use cri::import::{Descriptor, Platform};
use http::{Method, header};
use serde::Deserialize;

use super::Trying;
use crate::registry::{self, Failure, MAX_DOCUMENT, Trust, Url, ask};

impl Trying<'_> {
    /// The manifest, and whether it has something for the node.
    pub(super) async fn manifest(
        &mut self,
        url: &Url,
        authorization: Option<(header::HeaderName, String)>,
        trust: &Trust,
    ) -> Option<()> {
        let headers = self.headers(authorization.clone());
        let fetched = async {
            let answer = ask(self.access, &Method::GET, url, &headers, trust).await?;
            let status = answer.status();
            Ok::<_, Failure>((status, answer.bytes(MAX_DOCUMENT).await?))
        };
        let (status, bytes) = match fetched.await {
            Ok(fetched) => fetched,
            Err(failure) => {
                self.bad("manifest", failure.to_string());
                return None;
            }
        };
        if !status.is_success() {
            self.bad("manifest", format!("the registry answers {status}{}", registry::words(&bytes)));
            return None;
        }
        let digest = cri::import::Digest::of(&bytes);
        let Ok(document) = serde_json::from_slice::<ManifestOrIndex>(&bytes) else {
            self.bad("manifest", format!("{digest} is neither manifest nor index"));
            return None;
        };
        self.good("manifest", digest.to_string());
        let wanted = self.known.platform.clone()?;
        let Some(manifests) = document.manifests else {
            return self.single(url, document.config, &wanted, authorization, trust).await;
        };
        let listed: Vec<String> =
            manifests.iter().filter_map(|entry| entry.platform.as_ref()).map(ToString::to_string).collect();
        if listed.iter().any(|platform| *platform == wanted.to_string()) {
            self.good("platform", format!("there is one for {wanted}"));
            return Some(());
        }
        self.bad("platform", format!("there is none for {wanted}, only for {}", listed.join(", ")));
        None
    }

    /// A manifest without an index: containerd takes it as it is, and it may not run.
    async fn single(
        &mut self,
        url: &Url,
        config: Option<Descriptor>,
        wanted: &Platform,
        authorization: Option<(header::HeaderName, String)>,
        trust: &Trust,
    ) -> Option<()> {
        let Some(config) = config else {
            self.untried("platform", "the manifest has no configuration");
            return Some(());
        };
        let base = url.path.split("/manifests/").next().unwrap_or_default();
        let query = url.path.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
        let url = Url { path: format!("{base}/blobs/{}{query}", config.digest), ..url.clone() };
        let headers = self.headers(authorization);
        let fetched = async {
            let answer = ask(self.access, &Method::GET, &url, &headers, trust).await.ok()?;
            answer.status().is_success().then_some(())?;
            answer.bytes(MAX_DOCUMENT).await.ok()
        };
        let Some(found) = fetched.await.and_then(|bytes| serde_json::from_slice::<Platform>(&bytes).ok()) else {
            self.untried("platform", "the image's configuration could not be read");
            return Some(());
        };
        if found == *wanted {
            self.good("platform", found.to_string());
            return Some(());
        }
        self.bad(
            "platform",
            format!("it is for {found}, and the node is {wanted}: containers end with `exec format error`"),
        );
        None
    }
}

#[derive(Deserialize)]
struct ManifestOrIndex {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
}
