//! Pulls an image once to this machine: the manifests of the platforms that the nodes have, and what those need.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use cri::import::{Descriptor, Digest, ImageName, Platform};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

use super::layout::ContentDir;
use super::retry::{ATTEMPTS, wait_after};
use crate::registry::{self, Document, RegistryError, Repository};

/// Blobs that are pulled at a time.
const AT_A_TIME: usize = 4;
/// An index of more manifests is a mistake.
const MAX_MANIFESTS: usize = 200;

/// What a pull is about.
pub struct Pull<'a> {
    /// The image.
    pub name: &'a ImageName,
    /// Platforms that are needed.
    pub platforms: &'a BTreeSet<Platform>,
    /// Where it goes.
    pub directory: &'a ContentDir,
    /// Told the sizes of all that is to come, then of each piece that has come.
    pub progress: Arc<dyn Fn(PullEvent) + Send + Sync>,
}

/// What happens during a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullEvent {
    /// So many bytes there are in all.
    Total(u64),
    /// So many more have come.
    Came(u64),
    /// So many did not count: they have to come again.
    Lost(u64),
    /// It failed in passing, for this reason, and is tried again.
    Again(String),
}

/// Why an image was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// This machine's disk.
    #[error("could not keep the image at {place}: {source}")]
    Disk {
        /// The directory.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// It does not fit.
    #[error(
        "the image needs {needed} MB, and at {place} there are {room} MB to spare: free some, or set SHIPMATE_HOME"
    )]
    TooLarge {
        /// The directory.
        place: String,
        /// Megabytes needed.
        needed: u64,
        /// Megabytes there.
        room: u64,
    },
    /// The registry's documents make no image.
    #[error("{name}: {problem}")]
    NoImage {
        /// The image.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A blob is not what its digest says, time and again.
    #[error("the registry sends {actual} for the blob {digest}: its storage is damaged, push the image again")]
    Damaged {
        /// What was asked for.
        digest: Digest,
        /// What came.
        actual: String,
    },
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Pulls; the digest of what the name points at. What was pulled before is not pulled again.
///
/// # Errors
/// When the registry or this machine's disk does not do it, also after several attempts.
pub async fn pull(repository: &Repository, what: &Pull<'_>) -> Result<Digest, PullError> {
    let top = patiently(what, || repository.document_of(what.name)).await?;
    let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
    for manifest in manifests(repository, what, &top).await? {
        let read: Manifest = read(what, &manifest)?;
        for part in std::iter::once(&read.config).chain(&read.layers) {
            blobs.insert(part.digest.clone(), part.size);
        }
    }
    make_room(what, &blobs)?;
    (what.progress)(PullEvent::Total(blobs.values().sum()));
    let each = blobs.iter().map(|(digest, size)| blob(repository, what, digest, *size));
    // Bounded, and the first failure ends the others: what they have is continued by the next attempt.
    futures::stream::iter(each).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
    let named = what.directory.name(what.name, &top.digest, &media_type(&top), top.bytes.len());
    named.map_err(|source| disk(what, source))?;
    Ok(top.digest)
}

impl Repository {
    async fn document_of(&self, name: &ImageName) -> Result<Document, RegistryError> {
        self.document(&registry::version(name)).await
    }
}

/// The manifests that are needed: the top document itself, or those of an index for the platforms.
async fn manifests(repository: &Repository, what: &Pull<'_>, top: &Document) -> Result<Vec<Document>, PullError> {
    keep(what, top)?;
    if !is_index(top) {
        return Ok(vec![top.clone()]);
    }
    let index: Index = read(what, top)?;
    if index.manifests.len() > MAX_MANIFESTS {
        return Err(no_image(what, format!("its index lists {} manifests", index.manifests.len())));
    }
    let mut found = Vec::new();
    for wanted in what.platforms {
        let fits = |entry: &&Descriptor| entry.platform.as_ref() == Some(wanted);
        // Nodes of a platform that is not there are told so, and do not keep the others from theirs.
        let Some(entry) = index.manifests.iter().find(fits) else { continue };
        let document = match what.directory.document(&entry.digest) {
            Some(bytes) => {
                Document { bytes: bytes.into(), digest: entry.digest.clone(), media_type: entry.media_type.clone() }
            }
            None => patiently(what, || repository.document(entry.digest.as_str())).await?,
        };
        keep(what, &document)?;
        found.push(document);
    }
    if found.is_empty() {
        let listed = index.manifests.iter().filter_map(|entry| entry.platform.as_ref()).map(ToString::to_string);
        let listed: BTreeSet<String> = listed.filter(|platform| platform != "unknown/unknown").collect();
        let listed = listed.into_iter().collect::<Vec<_>>().join(", ");
        let wanted = what.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(no_image(what, format!("there is none for {wanted}, only for {listed}")));
    }
    Ok(found)
}

fn media_type(document: &Document) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    // The document's own word counts: registries send `application/octet-stream` at times.
    let own = serde_json::from_slice::<Typed>(&document.bytes).ok().and_then(|typed| typed.media_type);
    own.unwrap_or_else(|| document.media_type.clone())
}

fn is_index(document: &Document) -> bool {
    let media_type = media_type(document);
    media_type.contains("image.index") || media_type.contains("manifest.list")
}

fn keep(what: &Pull<'_>, document: &Document) -> Result<(), PullError> {
    what.directory.put(&document.digest, &document.bytes).map_err(|source| disk(what, source))
}

fn read<T: serde::de::DeserializeOwned>(what: &Pull<'_>, document: &Document) -> Result<T, PullError> {
    serde_json::from_slice(&document.bytes).map_err(|error| {
        let kind = media_type(document);
        no_image(what, format!("its document {} ({kind}) is neither index nor manifest: {error}", document.digest))
    })
}

fn make_room(what: &Pull<'_>, blobs: &BTreeMap<Digest, u64>) -> Result<(), PullError> {
    let missing = blobs.iter().filter(|(digest, _)| !what.directory.has(digest));
    let needed: u64 = missing.map(|(_, size)| *size).sum();
    let room = what.directory.room().map_err(|source| disk(what, source))?;
    if needed > room {
        let place = what.directory.path().display().to_string();
        return Err(PullError::TooLarge { place, needed: needed >> 20, room: room >> 20 });
    }
    Ok(())
}

/// One blob, checked, continued where it was left.
async fn blob(repository: &Repository, what: &Pull<'_>, digest: &Digest, size: u64) -> Result<(), PullError> {
    if what.directory.has(digest) {
        (what.progress)(PullEvent::Came(size));
        return Ok(());
    }
    let mut last = String::new();
    for attempt in 1..=ATTEMPTS {
        match piecewise(repository, what, digest, size).await {
            Ok(None) => return Ok(()),
            Ok(Some(actual)) => {
                (what.progress)(PullEvent::Lost(size));
                last = actual;
            }
            Err(PullError::Registry(error)) if error.passing() && attempt < ATTEMPTS => {
                (what.progress)(PullEvent::Again(error.to_string()));
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(wait_after(attempt)).await;
    }
    Err(PullError::Damaged { digest: digest.clone(), actual: last })
}

/// One attempt; `Some` when what came has another digest.
async fn piecewise(
    repository: &Repository,
    what: &Pull<'_>,
    digest: &Digest,
    size: u64,
) -> Result<Option<String>, PullError> {
    let on_disk = |source| disk(what, source);
    let mut part = what.directory.part(digest).map_err(on_disk)?;
    if part.size() > size {
        part.truncate().map_err(on_disk)?;
    }
    let mut counted = part.size();
    (what.progress)(PullEvent::Came(counted));
    let result = async {
        if part.size() < size {
            let (mut answer, begins) = repository.blob(digest, part.size()).await?;
            if begins < part.size() {
                // This registry does no ranges.
                part.truncate().map_err(on_disk)?;
            }
            while let Some(piece) = registry::next_piece(&mut answer)
                .await
                .map_err(|failure| RegistryError::Failed { url: format!("blob {digest}"), failure })?
            {
                if part.size() + piece.len() as u64 > size {
                    let problem = format!("it sends more than the {size} bytes of its manifest");
                    return Err(RegistryError::Wrong { url: format!("blob {digest}"), problem }.into());
                }
                part.write(&piece).map_err(on_disk)?;
                let fresh = part.size().saturating_sub(counted);
                counted += fresh;
                (what.progress)(PullEvent::Came(fresh));
            }
        }
        if part.size() < size {
            let failure = registry::Failure::broken(format!("it ended after {} of {size} bytes", part.size()));
            return Err(RegistryError::Failed { url: format!("blob {digest}"), failure }.into());
        }
        Ok(())
    };
    if let Err(error) = result.await {
        (what.progress)(PullEvent::Lost(counted));
        return Err(error);
    }
    part.finish(what.directory).map_err(on_disk)
}

/// Asks again when it failed in passing.
async fn patiently<T, F>(what: &Pull<'_>, mut ask: impl FnMut() -> F) -> Result<T, PullError>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(error) if error.passing() && attempt < ATTEMPTS => {
                (what.progress)(PullEvent::Again(error.to_string()));
                tokio::time::sleep(wait_after(attempt)).await;
                attempt += 1;
            }
            result => return Ok(result?),
        }
    }
}

fn no_image(what: &Pull<'_>, problem: String) -> PullError {
    PullError::NoImage { name: what.name.to_string(), problem }
}

fn disk(what: &Pull<'_>, source: io::Error) -> PullError {
    PullError::Disk { place: what.directory.path().display().to_string(), source }
}
