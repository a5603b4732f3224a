//! CRI's calls on images.

use std::time::Duration;

use crate::proto::runtime::v1 as cri;
use crate::runtime::{ACTION, QUERY};
use crate::{Error, Runtime};

/// How long a pull may take; a registry that stalls for longer has to be asked again.
const PULL: Duration = Duration::from_secs(60 * 60);

impl Runtime {
    /// All images that CRI knows.
    pub async fn list_images(&self) -> Result<Vec<cri::Image>, Error> {
        let request = cri::ListImagesRequest::default();
        let mut client = self.image_service();
        let answer = self.call("ListImages", QUERY, client.list_images(request)).await?;
        Ok(answer.images)
    }

    /// The image of that name or id, if there is one.
    pub async fn image_status(&self, image: &str) -> Result<Option<cri::Image>, Error> {
        let request = cri::ImageStatusRequest { image: Some(spec(image)), verbose: false };
        let mut client = self.image_service();
        let answer = self.call("ImageStatus", QUERY, client.image_status(request)).await?;
        Ok(answer.image)
    }

    /// Pulls an image from its registry and answers its id.
    pub async fn pull_image(&self, request: cri::PullImageRequest) -> Result<String, Error> {
        let mut client = self.image_service();
        let answer = self.call("PullImage", PULL, client.pull_image(request)).await?;
        Ok(answer.image_ref)
    }

    /// Removes an image with all its names. Idempotent.
    pub async fn remove_image(&self, image: &str) -> Result<(), Error> {
        let request = cri::RemoveImageRequest { image: Some(spec(image)) };
        let mut client = self.image_service();
        self.call("RemoveImage", ACTION, client.remove_image(request)).await?;
        Ok(())
    }

    /// Where images and container layers lie, and how much they take.
    pub async fn image_fs_info(&self) -> Result<cri::ImageFsInfoResponse, Error> {
        let mut client = self.image_service();
        self.call("ImageFsInfo", QUERY, client.image_fs_info(cri::ImageFsInfoRequest {})).await
    }
}

fn spec(image: &str) -> cri::ImageSpec {
    cri::ImageSpec { image: image.to_owned(), ..Default::default() }
}
