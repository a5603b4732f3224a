//! What containerd's image and content stores hold: names, the blobs below them, and who uses them.
//!
//! CRI shows images by their id; here are the names themselves, one by one, with their labels. Whoever put something in
//! can so take out exactly that, and containerd's garbage collector takes the blobs that nobody else refers to.

use std::collections::BTreeMap;

use prost_types::FieldMask;

use crate::import::Digest;
use crate::proto::containerd::services::{containers::v1 as containers, content::v1 as content, images::v1 as images};
use crate::runtime::{ACTION, QUERY, namespaced};
use crate::{Error, Runtime};

/// A name in containerd's image store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedImage {
    /// The name: a reference, or an image's id.
    pub name: String,
    /// The digest of the manifest or index it points at.
    pub digest: String,
    /// The media type of that.
    pub media_type: String,
    /// The size of that document, in bytes.
    pub size: i64,
    /// Labels of the name.
    pub labels: BTreeMap<String, String>,
}

/// A container and the image it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUser {
    /// The container's id.
    pub container: String,
    /// The image by the name under which it was looked up.
    pub image: String,
    /// Labels of the container; CRI's tell the pod.
    pub labels: BTreeMap<String, String>,
}

impl Runtime {
    /// Every name of the image store.
    pub async fn named_images(&self) -> Result<Vec<NamedImage>, Error> {
        let mut client = self.images();
        let request = namespaced(images::ListImagesRequest::default());
        let answer = self.call("Images.List", QUERY, client.list(request)).await?;
        Ok(answer.images.into_iter().map(NamedImage::from).collect())
    }

    /// Points an existing name at another target; labels stay.
    pub async fn repoint_image(&self, image: &NamedImage) -> Result<(), Error> {
        let target = images::Descriptor {
            media_type: image.media_type.clone(),
            digest: image.digest.clone(),
            size: image.size,
            annotations: BTreeMap::new(),
        };
        let image = images::Image { name: image.name.clone(), target: Some(target), labels: BTreeMap::new() };
        self.update_image(image, vec!["target".to_owned()]).await
    }

    /// Sets labels of a name; an empty value takes a label away.
    pub async fn label_image(&self, name: &str, labels: BTreeMap<String, String>) -> Result<(), Error> {
        let paths = labels.keys().map(|label| format!("labels.{label}")).collect();
        // The target is not among the paths and stays. It must be there all the same: containerd 1.7 and later read it
        // before they look at the paths, and the whole daemon ends where it is absent.
        let target = Some(images::Descriptor::default());
        self.update_image(images::Image { name: name.to_owned(), labels, target }, paths).await
    }

    async fn update_image(&self, image: images::Image, paths: Vec<String>) -> Result<(), Error> {
        let update_mask = Some(FieldMask { paths });
        let request = namespaced(images::UpdateImageRequest { image: Some(image), update_mask });
        let mut client = self.images();
        self.call("Images.Update", ACTION, client.update(request)).await?;
        Ok(())
    }

    /// Takes one name away and waits for the garbage collection that this allows. Idempotent.
    pub async fn remove_image_name(&self, name: &str) -> Result<(), Error> {
        let request = namespaced(images::DeleteImageRequest { name: name.to_owned(), sync: true });
        let mut client = self.images();
        match self.call("Images.Delete", ACTION, client.delete(request)).await {
            Err(error) if error.not_found() => Ok(()),
            result => result,
        }
    }

    /// Every container, running or not, with its image.
    pub async fn image_users(&self) -> Result<Vec<ImageUser>, Error> {
        let mut client = self.containers();
        let request = namespaced(containers::ListContainersRequest::default());
        let answer = self.call("Containers.List", QUERY, client.list(request)).await?;
        let user = |container: containers::Container| ImageUser {
            container: container.id,
            image: container.image,
            labels: container.labels,
        };
        Ok(answer.containers.into_iter().map(user).collect())
    }

    /// The size of a blob in the content store, if it is there.
    pub async fn blob_size(&self, digest: &str) -> Result<Option<u64>, Error> {
        let mut client = self.content();
        let request = namespaced(content::InfoRequest { digest: digest.to_owned() });
        match self.call("Content.Info", QUERY, client.info(request)).await {
            Ok(answer) => Ok(answer.info.map(|info| u64::try_from(info.size).unwrap_or(0))),
            Err(error) if error.not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A blob of at most `limit` bytes, such as a manifest; `None` if it is not there or longer.
    pub async fn small_blob(&self, digest: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.blob_size(digest).await? {
            Some(size) if size <= limit as u64 => {}
            _ => return Ok(None),
        }
        let mut client = self.content();
        let request = content::ReadContentRequest { digest: digest.to_owned(), offset: 0, size: 0 };
        let mut answers = self.call("Content.Read", QUERY, client.read(namespaced(request))).await?;
        let mut bytes = Vec::new();
        loop {
            let next = async { answers.message().await.map(tonic::Response::new) };
            match self.call("Content.Read", QUERY, next).await? {
                Some(answer) if bytes.len() + answer.data.len() <= limit => bytes.extend_from_slice(&answer.data),
                Some(_) => return Ok(None),
                None => return Ok(Some(bytes)),
            }
        }
    }

    /// Whether a document of the content store is there and is what its digest says: it is read back and hashed.
    pub async fn holds_document(&self, digest: &Digest) -> Result<bool, Error> {
        const DOCUMENT: usize = 8 << 20;
        let found = self.small_blob(digest.as_str(), DOCUMENT).await?;
        Ok(found.is_some_and(|bytes| Digest::of(&bytes) == *digest))
    }
}

impl From<images::Image> for NamedImage {
    fn from(image: images::Image) -> Self {
        let target = image.target.unwrap_or_default();
        Self {
            name: image.name,
            digest: target.digest,
            media_type: target.media_type,
            size: target.size,
            labels: image.labels,
        }
    }
}
