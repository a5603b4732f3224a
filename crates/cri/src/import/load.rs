//! Writes an image source into containerd.
//!
//! A lease keeps the blobs from containerd's garbage collector until an image refers to them, and
//! expires by itself should this process die. Blobs go in before what refers to them, the names last,
//! so nobody ever sees a name of an incomplete image.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::stream;
use prost_types::{FieldMask, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status, Streaming};

use super::source::{Blob, Descriptor, Digest};
use super::{ImageName, ImageSource, ImportError, SourceImage};
use crate::proto::containerd::services::{content::v1 as content, images::v1 as images, leases};
use crate::runtime::{ACTION, QUERY, namespaced};
use crate::{Error, Runtime};

/// How much of a blob is in memory at a time; well under gRPC's usual 4 MiB for a message.
const CHUNK: usize = 1 << 20;
/// After this time containerd may drop what an import that died has written.
const LEASE: Duration = Duration::from_secs(24 * 60 * 60);
/// CRI learns of an image by an event: usually at once.
const VISIBLE: Duration = Duration::from_secs(10);
const VISIBLE_POLL: Duration = Duration::from_millis(5);
/// How long another load may take for a blob that this one needs too.
const LOCKED: Duration = Duration::from_secs(30 * 60);
const LOCKED_POLL: Duration = Duration::from_millis(250);

/// The label by which CRI knows that an image's references are complete.
const MANAGED: (&str, &str) = ("io.cri-containerd.image", "managed");

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub names: Vec<ImageName>,
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// The image's id in CRI: the digest of its configuration.
    pub id: Digest,
}

/// How images are loaded, where it is more than names and blobs.
#[derive(Default)]
pub struct Staging {
    /// Further labels of the images.
    pub labels: BTreeMap<String, String>,
    /// Called with the number of bytes of each piece that containerd has, whether sent now or there before.
    pub progress: Option<Box<dyn Fn(u64) + Send + Sync>>,
    /// Blobs are continued where an earlier load of the same blob was cut off. Of two loads at once, one sends a blob
    /// and the other waits for it.
    pub resume: bool,
}

impl Staging {
    fn progressed(&self, bytes: u64) {
        if let Some(progress) = &self.progress {
            progress(bytes);
        }
    }
}

impl Runtime {
    /// Loads the images of an archive file; see [`ImageSource::open`].
    pub async fn import_archive(
        &self,
        path: impl Into<PathBuf>,
        name: Option<ImageName>,
    ) -> Result<Vec<Imported>, Error> {
        let path = path.into();
        let source = blocking(move || ImageSource::open(&path, name.as_ref())).await?;
        self.import(&source).await
    }

    /// Loads every image of the source and waits until CRI can see it. Blobs that containerd has
    /// are not sent again; a name that exists is moved to the new image.
    pub async fn import(&self, source: &ImageSource) -> Result<Vec<Imported>, Error> {
        self.import_as(source, Arc::default()).await
    }

    /// As [`Runtime::import`], with labels, progress and resumed blobs.
    pub async fn import_as(&self, source: &ImageSource, staging: Arc<Staging>) -> Result<Vec<Imported>, Error> {
        let loading = Loading { runtime: self.clone(), lease: self.create_lease().await?, staging };
        let result = loading.images(source).await;
        // The names hold the blobs now; on failure nothing shall.
        let dropped = self.delete_lease(&loading.lease).await;
        let imported = result?;
        dropped?;
        for image in &imported {
            self.await_visible(image.id.as_str(), &image.id).await?;
            for name in &image.names {
                self.await_visible(&name.to_string(), &image.id).await?;
            }
        }
        Ok(imported)
    }

    async fn create_lease(&self) -> Result<String, Error> {
        let expire = Timestamp::from(SystemTime::now() + LEASE);
        let label = ("containerd.io/gc.expire".to_owned(), expire.to_string());
        let request = namespaced(leases::v1::CreateRequest { id: unique("import"), labels: BTreeMap::from([label]) });
        let mut client = self.leases();
        let answer = self.call("Leases.Create", ACTION, client.create(request)).await?;
        Ok(self.part("Leases.Create", "lease", answer.lease)?.id)
    }

    async fn delete_lease(&self, id: &str) -> Result<(), Error> {
        let request = namespaced(leases::v1::DeleteRequest { id: id.to_owned(), sync: false });
        let mut client = self.leases();
        self.call("Leases.Delete", ACTION, client.delete(request)).await
    }

    /// Waits until CRI resolves the name to the image. Without the CRI plugin there is nobody to
    /// wait for.
    async fn await_visible(&self, name: &str, id: &Digest) -> Result<(), Error> {
        let end = Instant::now() + VISIBLE;
        loop {
            match self.image_status(name).await {
                Ok(Some(image)) if image.id == id.as_str() => return Ok(()),
                Err(err) if err.unimplemented() => return Ok(()),
                Err(err) if !err.not_ready_yet() => return Err(err),
                _ if Instant::now() >= end => {
                    return Err(self.deadline("ImageStatus of an imported image", VISIBLE));
                }
                _ => sleep(VISIBLE_POLL).await,
            }
        }
    }
}

/// An import under way.
struct Loading {
    runtime: Runtime,
    lease: String,
    staging: Arc<Staging>,
}

impl Loading {
    async fn images(&self, source: &ImageSource) -> Result<Vec<Imported>, Error> {
        let mut imported = Vec::new();
        for image in &source.images {
            for digest in &image.blobs {
                self.blob(digest, &source.blobs[digest]).await?;
            }
            self.name(image).await?;
            imported.push(Imported {
                names: image.names.clone(),
                digest: image.target.digest.clone(),
                id: image.config.clone(),
            });
        }
        Ok(imported)
    }

    /// Points the id and the names at the image, the id first: it is what CRI looks images up by.
    async fn name(&self, image: &SourceImage) -> Result<(), Error> {
        let id = image.config.to_string();
        let names = image.names.iter().map(ImageName::to_string);
        for name in std::iter::once(id).chain(names) {
            self.point(name, &image.target).await?;
        }
        Ok(())
    }

    async fn point(&self, name: String, target: &Descriptor) -> Result<(), Error> {
        let runtime = &self.runtime;
        let mut labels = self.staging.labels.clone();
        labels.insert(MANAGED.0.to_owned(), MANAGED.1.to_owned());
        let mut paths = vec!["target".to_owned()];
        paths.extend(labels.keys().map(|label| format!("labels.{label}")));
        let image = images::Image {
            name,
            labels,
            target: Some(images::Descriptor {
                media_type: target.media_type.clone(),
                digest: target.digest.to_string(),
                size: i64::try_from(target.size).unwrap_or(i64::MAX),
                annotations: BTreeMap::new(),
            }),
        };
        let mut client = runtime.images();
        let request = self.leased(images::CreateImageRequest { image: Some(image.clone()) });
        match runtime.call("Images.Create", ACTION, client.create(request)).await {
            Err(err) if err.already_exists() => {}
            result => return result.map(|_| ()),
        }
        let request =
            self.leased(images::UpdateImageRequest { image: Some(image), update_mask: Some(FieldMask { paths }) });
        runtime.call("Images.Update", ACTION, client.update(request)).await?;
        Ok(())
    }

    /// Makes sure that containerd has the blob, that the lease holds it, and that it is labelled.
    async fn blob(&self, digest: &Digest, blob: &Blob) -> Result<(), Error> {
        let end = Instant::now() + LOCKED;
        loop {
            let ingest = match self.staging.resume {
                true => format!("shipmate-{digest}"),
                false => unique(digest.as_str()),
            };
            match self.write(&ingest, digest, blob).await {
                // Another name's import, or an earlier one, brought it.
                Err(err) if err.already_exists() => {
                    self.staging.progressed(blob.bytes.size());
                    return self.label(digest, blob).await;
                }
                // Another load writes this blob just now.
                Err(err) if self.staging.resume && err.code() == Some(Code::Unavailable) && Instant::now() < end => {
                    sleep(LOCKED_POLL).await;
                }
                // What a broken connection left is continued by the next attempt.
                Err(err) if self.staging.resume && (err.unavailable() || matches!(err, Error::Deadline { .. })) => {
                    return Err(err);
                }
                Err(err) => {
                    self.abort(ingest).await;
                    return Err(err);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn write(&self, ingest: &str, digest: &Digest, blob: &Blob) -> Result<(), Error> {
        let size = blob.bytes.size();
        let total = i64::try_from(size).unwrap_or(i64::MAX);
        let start = content::WriteContentRequest {
            action: content::WriteAction::Stat.into(),
            r#ref: ingest.to_owned(),
            total,
            expected: digest.to_string(),
            ..Default::default()
        };
        let (mut writer, there) = Writer::open(self, start).await?;
        let mut hash = Sha256::new();
        let mut at = 0;
        while at < size {
            let bytes = blob.bytes.clone();
            let (chunk, new_hash) = blocking(move || {
                let chunk = bytes.read(at, CHUNK)?;
                hash.update(&chunk);
                Ok((chunk, hash))
            })
            .await
            .map_err(|source| ImportError::Read { what: digest.to_string(), source })?;
            hash = new_hash;
            let length = chunk.len() as u64;
            // What an earlier attempt sent is hashed here, and checked by containerd with the rest.
            let n_there = usize::try_from(there.saturating_sub(at)).unwrap_or(usize::MAX).min(chunk.len());
            let rest = chunk.slice(n_there..);
            if !rest.is_empty() {
                writer.send(content::WriteAction::Write, at + n_there as u64, rest).await?;
            }
            at += length;
            self.staging.progressed(length);
        }
        let actual = Digest::from_hash(hash);
        if actual != *digest {
            return Err(Error::Import(ImportError::WrongDigest {
                entry: format!("blobs/sha256/{}", digest.hex()),
                expected: digest.to_string(),
                actual: actual.to_string(),
            }));
        }
        writer.commit(at, total, digest, labels(blob)).await
    }

    /// Labels a blob that was there: whoever brought it may not have.
    async fn label(&self, digest: &Digest, blob: &Blob) -> Result<(), Error> {
        let labels = labels(blob);
        if labels.is_empty() {
            return Ok(());
        }
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let request = self.leased(content::UpdateRequest {
            info: Some(content::Info { digest: digest.to_string(), labels, ..Default::default() }),
            update_mask: Some(FieldMask { paths }),
        });
        let mut client = self.runtime.content();
        self.runtime.call("Content.Update", ACTION, client.update(request)).await?;
        Ok(())
    }

    /// Frees what a failed write left; the failure itself is what matters to the caller.
    async fn abort(&self, ingest: String) {
        let request = self.leased(content::AbortRequest { r#ref: ingest });
        let mut client = self.runtime.content();
        let aborted = self.runtime.call("Content.Abort", QUERY, client.abort(request));
        if let Err(error) = aborted.await
            && !error.not_found()
        {
            tracing::debug!(%error, "a partial blob stays until containerd's garbage collection");
        }
    }

    fn leased<T>(&self, message: T) -> Request<T> {
        let mut request = namespaced(message);
        let lease =
            MetadataValue::try_from(self.lease.as_str()).expect("a lease's id consists of letters, digits and dashes");
        request.metadata_mut().insert("containerd-lease", lease);
        request
    }
}

/// The stream that writes one blob. Each request is answered before the next one is sent, which is
/// what bounds the memory on both sides.
struct Writer {
    runtime: Runtime,
    requests: mpsc::Sender<content::WriteContentRequest>,
    answers: Streaming<content::WriteContentResponse>,
}

impl Writer {
    /// The stream, and how much of the blob an earlier one wrote.
    async fn open(loading: &Loading, start: content::WriteContentRequest) -> Result<(Self, u64), Error> {
        let runtime = loading.runtime.clone();
        let (requests, receiver) = mpsc::channel(1);
        // containerd answers the call itself only when it has the first request.
        let _ = requests.try_send(start);
        let body = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        let mut client = runtime.content();
        let answers = runtime.call("Content.Write", ACTION, client.write(loading.leased(body))).await?;
        let mut writer = Self { runtime, requests, answers };
        let there = writer.answer().await?;
        Ok((writer, there))
    }

    async fn send(&mut self, action: content::WriteAction, offset: u64, data: Bytes) -> Result<(), Error> {
        self.request(content::WriteContentRequest {
            action: action.into(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            data,
            ..Default::default()
        })
        .await
    }

    async fn commit(
        &mut self,
        offset: u64,
        total: i64,
        digest: &Digest,
        labels: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        self.request(content::WriteContentRequest {
            action: content::WriteAction::Commit.into(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            total,
            expected: digest.to_string(),
            labels,
            ..Default::default()
        })
        .await
    }

    async fn request(&mut self, request: content::WriteContentRequest) -> Result<(), Error> {
        // A closed channel means that the call has ended: the answer says why.
        let _ = self.requests.send(request).await;
        self.answer().await.map(drop)
    }

    /// How much of the blob containerd has.
    async fn answer(&mut self) -> Result<u64, Error> {
        let answer = async {
            match self.answers.message().await? {
                Some(answer) => Ok(tonic::Response::new(u64::try_from(answer.offset).unwrap_or(0))),
                None => Err(Status::new(Code::Aborted, "the write ended early")),
            }
        };
        self.runtime.call("Content.Write", ACTION, answer).await
    }
}

/// The labels by which the garbage collector finds what a manifest or index refers to.
fn labels(blob: &Blob) -> BTreeMap<String, String> {
    let label =
        |(name, digest): (&String, &Digest)| (format!("containerd.io/gc.ref.content.{name}"), digest.to_string());
    blob.children.iter().map(label).collect()
}

/// An id that no other import uses, also not one of another process.
fn unique(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    format!("shipmate-{what}-{}-{nanos}-{count}", std::process::id())
}

/// Runs file access on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = tokio::task::spawn_blocking(work);
    work.await.expect("reading an image does not panic")
}
