//! The images of one node's containerd: over its socket, or through `ctr` where only that is to be had.

use std::collections::BTreeMap;
use std::sync::Arc;

use cri::import::{ImageSource, SourceImage, Staging};
use cri::{ImageUser, NamedImage, Runtime};

use super::Target;
use super::ctr::Ctr;
use crate::access::{AccessError, Socket};

/// What went wrong on a node.
#[derive(Debug, thiserror::Error)]
pub enum StockError {
    /// The way there.
    #[error("{}", chain(.0))]
    Access(#[from] AccessError),
    /// containerd, or the connection to it.
    #[error("{}", chain(.0))]
    Containerd(#[from] cri::Error),
    /// `ctr` did not do it.
    #[error("`ctr {what}` on the node failed: {words}")]
    Ctr {
        /// Its command.
        what: String,
        /// What it said.
        words: String,
    },
    /// There is no containerd to be had.
    #[error("containerd can't be reached there: {0}")]
    NoContainerd(String),
    /// What is there is not what was staged.
    #[error("what is there is not what was staged: {0}")]
    NotVerified(String),
    /// The image does not run there.
    #[error("{0}")]
    Unfit(String),
    /// The receipt could not be written, so the node was not touched.
    #[error(transparent)]
    Receipt(#[from] super::ReceiptError),
}

impl StockError {
    /// The node's disk is full: trying again does not help.
    pub fn disk_full(&self) -> bool {
        self.to_string().contains("no space left on device")
    }

    /// Whether it may work a little later.
    pub fn passing(&self) -> bool {
        match self {
            _ if self.disk_full() => false,
            Self::Access(AccessError::Unsupported { .. }) => false,
            Self::Access(_) | Self::NoContainerd(_) | Self::NotVerified(_) => true,
            Self::Containerd(cri::Error::Import(_)) => false,
            Self::Containerd(error) => {
                error.unavailable() || error.not_ready_yet() || matches!(error, cri::Error::Deadline { .. })
            }
            Self::Ctr { words, .. } => words.contains("unavailable") || words.contains("connection"),
            Self::Unfit(_) | Self::Receipt(_) => false,
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = error.source();
    }
    text
}

/// Told how many more bytes a node has.
pub(super) type Bytes = Arc<dyn Fn(u64) + Send + Sync>;

/// What can be done with the images of a node.
#[async_trait::async_trait]
pub(super) trait Stock: Send + Sync {
    /// By which way, in words.
    fn way(&self) -> &'static str;

    /// containerd's version.
    async fn version(&self) -> Result<String, StockError>;

    /// Every name.
    async fn names(&self) -> Result<Vec<NamedImage>, StockError>;

    /// Every container with its image.
    async fn users(&self) -> Result<Vec<ImageUser>, StockError>;

    /// Puts the images of a source in, with labels on their names.
    async fn load(
        &self,
        source: &Arc<ImageSource>,
        labels: &BTreeMap<String, String>,
        progress: Bytes,
    ) -> Result<(), StockError>;

    /// What of an image is missing or damaged, in words; nothing if it is whole.
    async fn damage(&self, source: &ImageSource, image: &SourceImage) -> Result<Option<String>, StockError>;

    /// Whether a blob is there.
    async fn has(&self, digest: &str) -> Result<bool, StockError>;

    /// Sets labels; an empty value takes one away.
    async fn label(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), StockError>;

    /// Points a name at something that is there.
    async fn repoint(&self, image: &NamedImage) -> Result<(), StockError>;

    /// Takes a name away.
    async fn remove(&self, name: &str) -> Result<(), StockError>;
}

/// Opens a node's stock by the first way that works.
pub(super) async fn open(target: &Target) -> Result<Box<dyn Stock>, StockError> {
    let mut reasons = Vec::new();
    for path in &target.sockets {
        match over_socket(target, path).await {
            Ok(stock) => return Ok(Box::new(stock)),
            // Without a way to the node, other sockets and `ctr` are no better.
            Err(StockError::Access(error @ AccessError::Unreachable { .. })) => return Err(error.into()),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    for path in &target.sockets {
        let ctr = Ctr::new(target.access.clone(), path);
        match ctr.version().await {
            Ok(_) => return Ok(Box::new(ctr)),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    reasons.dedup();
    Err(StockError::NoContainerd(reasons.join("; ")))
}

async fn over_socket(target: &Target, path: &str) -> Result<OverSocket, StockError> {
    let socket = target.access.socket(path).await?;
    let runtime = Runtime::new(socket.path())?;
    runtime.containerd_version().await?;
    Ok(OverSocket { runtime, _socket: socket })
}

/// containerd's own services.
struct OverSocket {
    runtime: Runtime,
    _socket: Socket,
}

#[async_trait::async_trait]
impl Stock for OverSocket {
    fn way(&self) -> &'static str {
        "containerd's socket"
    }

    async fn version(&self) -> Result<String, StockError> {
        Ok(self.runtime.containerd_version().await?)
    }

    async fn names(&self) -> Result<Vec<NamedImage>, StockError> {
        Ok(self.runtime.named_images().await?)
    }

    async fn users(&self) -> Result<Vec<ImageUser>, StockError> {
        Ok(self.runtime.image_users().await?)
    }

    async fn load(
        &self,
        source: &Arc<ImageSource>,
        labels: &BTreeMap<String, String>,
        progress: Bytes,
    ) -> Result<(), StockError> {
        let staging =
            Staging { labels: labels.clone(), progress: Some(Box::new(move |bytes| progress(bytes))), resume: true };
        self.runtime.import_as(source, Arc::new(staging)).await?;
        Ok(())
    }

    async fn damage(&self, source: &ImageSource, image: &SourceImage) -> Result<Option<String>, StockError> {
        for (digest, size) in source.blobs_of(image) {
            if self.runtime.blob_size(digest.as_str()).await? != Some(size) {
                return Ok(Some(format!("the blob {digest} is not there, or not whole")));
            }
        }
        // containerd checked layers when it took them; what decides which image this is, is read back.
        for digest in [&image.target.digest, &image.manifest, &image.config] {
            if !self.runtime.holds_document(digest).await? {
                return Ok(Some(format!("the document {digest} is damaged")));
            }
        }
        Ok(None)
    }

    async fn has(&self, digest: &str) -> Result<bool, StockError> {
        Ok(self.runtime.blob_size(digest).await?.is_some())
    }

    async fn label(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), StockError> {
        Ok(self.runtime.label_image(name, labels.clone()).await?)
    }

    async fn repoint(&self, image: &NamedImage) -> Result<(), StockError> {
        Ok(self.runtime.repoint_image(image).await?)
    }

    async fn remove(&self, name: &str) -> Result<(), StockError> {
        Ok(self.runtime.remove_image_name(name).await?)
    }
}
