//! Makes sure that a container's image is on the node, as its pull policy says.

use std::sync::Arc;
use std::time::Instant;

use cri::import::ImageName;
use cri::v1::{Image, ImageSpec, PodSandboxConfig, PullImageRequest};
use k8s_openapi::api::core::v1::{Container, PodSpec, Secret};

use crate::duration;
use crate::env::fields::service_account;
use crate::event::{About, Level};
use crate::image::credentials;
use crate::labels::PodRef;
use crate::node::Node;
use crate::objects::Age;

/// Why an image is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoImage {
    /// The name is none.
    Invalid(String),
    /// It is not there, and must not be pulled.
    Never(String),
    /// The pull failed.
    Pull(String),
    /// The runtime could not be asked.
    Inspect(String),
}

impl NoImage {
    /// The reason in a container's status.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "InvalidImageName",
            Self::Never(_) => "ErrImageNeverPull",
            Self::Pull(_) => "ErrImagePull",
            Self::Inspect(_) => "ImageInspectError",
        }
    }

    /// The message in a container's status.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Invalid(message) | Self::Never(message) | Self::Pull(message) | Self::Inspect(message) => message,
        }
    }
}

/// Whose image is needed.
pub(crate) struct Wanted<'a> {
    pub pod: &'a PodRef,
    pub spec: &'a PodSpec,
    pub container: &'a Container,
    pub about: &'a About,
    pub sandbox: &'a PodSandboxConfig,
}

/// Answers the image, after pulling it if need be.
pub(crate) async fn ensure(node: &Node, wanted: &Wanted<'_>) -> Result<Image, NoImage> {
    let image = wanted.container.image.as_deref().unwrap_or_default();
    let about = wanted.about;
    let name: ImageName = image.parse().map_err(|_| {
        let message = format!(
            "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format"
        );
        node.events.record(about, Level::Warning, "InspectFailed", &message);
        NoImage::Invalid(message)
    })?;
    let present = node.runtime.image_status(&name.to_string()).await.map_err(|err| {
        let message = format!("Failed to inspect image \"{image}\": {}", err.event_text());
        node.events.record(about, Level::Warning, "InspectFailed", &message);
        NoImage::Inspect(message)
    })?;
    let policy = wanted.container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
    match (policy, present) {
        ("Never", None) => {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            node.events.record(about, Level::Warning, "ErrImageNeverPull", &message);
            Err(NoImage::Never(message))
        }
        ("IfNotPresent" | "Never", Some(present)) => {
            let message =
                format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
            node.events.record(about, Level::Normal, "Pulled", &message);
            Ok(present)
        }
        _ => pull(node, wanted, image, &name).await,
    }
}

async fn pull(node: &Node, wanted: &Wanted<'_>, image: &str, name: &ImageName) -> Result<Image, NoImage> {
    node.events.record(wanted.about, Level::Normal, "Pulling", &format!("Pulling image \"{image}\""));
    let waiting_since = Instant::now();
    let permit = node.pulls.acquire().await.map_err(|_| NoImage::Pull("the node is stopping".to_owned()))?;
    let since = Instant::now();
    let pulled = pull_with_credentials(node, wanted, name).await;
    drop(permit);
    if let Err(message) = pulled {
        let text = format!("Failed to pull image \"{image}\": {message}");
        node.events.record(wanted.about, Level::Warning, "Failed", &text);
        return Err(NoImage::Pull(message));
    }
    let present =
        node.runtime.image_status(&name.to_string()).await.map_err(|err| NoImage::Inspect(err.event_text()))?;
    let present = present.ok_or_else(|| NoImage::Pull(format!("image \"{image}\" is not there after its pull")))?;
    let message = format!(
        "Successfully pulled image \"{image}\" in {} ({} including waiting). Image size: {} bytes.",
        rounded(since),
        rounded(waiting_since),
        present.size
    );
    node.events.record(wanted.about, Level::Normal, "Pulled", &message);
    Ok(present)
}

fn rounded(since: Instant) -> String {
    duration::go(i128::try_from(since.elapsed().as_millis()).unwrap_or(0) * 1_000_000)
}

/// Tries every credential that fits, or none at all if none fits.
async fn pull_with_credentials(node: &Node, wanted: &Wanted<'_>, name: &ImageName) -> Result<(), String> {
    let secrets = pull_secrets(node, wanted).await;
    let found = credentials::matching(&secrets, name);
    let tries = if found.is_empty() { vec![None] } else { found.into_iter().map(Some).collect() };
    let mut last = String::new();
    for auth in tries {
        let request = PullImageRequest {
            image: Some(ImageSpec { image: name.to_string(), ..ImageSpec::default() }),
            auth,
            sandbox_config: Some(wanted.sandbox.clone()),
        };
        match node.runtime.pull_image(request).await {
            Ok(_) => return Ok(()),
            Err(err) => last = err.event_text(),
        }
    }
    Err(last)
}

/// The pull secrets of the pod and of its service account. What cannot be got is left out, with an event:
/// the image may be public.
async fn pull_secrets(node: &Node, wanted: &Wanted<'_>) -> Vec<Arc<Secret>> {
    let namespace = &wanted.pod.namespace;
    let mut names: Vec<String> =
        wanted.spec.image_pull_secrets.iter().flatten().map(|reference| reference.name.clone()).collect();
    if names.is_empty() {
        let account = node.objects.service_account(namespace, service_account(wanted.spec)).await;
        let references = account.ok().flatten().and_then(|account| account.image_pull_secrets.clone());
        names.extend(references.into_iter().flatten().map(|reference| reference.name));
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        match node.objects.secret(namespace, &name, Age::Fresh).await {
            Ok(Some(secret)) => found.push(secret),
            Ok(None) | Err(_) => missing.push(name),
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        node.events.record(&About::pod(wanted.pod), Level::Warning, "FailedToRetrieveImagePullSecret", &message);
    }
    found
}
