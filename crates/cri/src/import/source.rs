//! A set of blobs and the images that they make up, checked and ready to be loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::archive::Archive;
use super::name::is_hex;
use super::{ImageName, ImportError, layout};

pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(super) const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The sha256 of a blob; prints as `sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(Sha256::new_with_prefix(bytes))
    }

    pub(super) fn from_hash(hash: Sha256) -> Self {
        Self(format!("sha256:{:x}", hash.finalize()))
    }

    /// With its `sha256:` in front.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix("sha256:") {
            Some(hex) if is_hex(hex, 64) => Ok(Self(text)),
            _ => Err(format!("{text:?} is not a sha256 digest")),
        }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pointer to a blob (OCI image specification, `descriptor.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// What a manifest of an index is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
}

impl Platform {
    /// This machine's.
    #[must_use]
    pub fn here() -> Self {
        // Go's names, which images use, for Rust's.
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self::linux(architecture)
    }

    /// Linux on an architecture by Go's name, such as `arm64`.
    #[must_use]
    pub fn linux(architecture: &str) -> Self {
        Self { os: "linux".to_owned(), architecture: architecture.to_owned() }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// A complete manifest: its digest, its configuration, and what it is for.
pub(super) struct Found {
    pub(super) manifest: Digest,
    pub(super) config: Digest,
    pub(super) platform: Platform,
}

/// Where a blob's bytes are.
#[derive(Clone, Debug)]
pub(super) enum Bytestore {
    Memory(Bytes),
    /// A stretch of an archive; read by position, so that readers do not disturb each other.
    File {
        file: Arc<File>,
        offset: u64,
        size: u64,
    },
}

impl Bytestore {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// At most `limit` bytes from `at` on; blocks on a file.
    pub(super) fn read(&self, at: u64, limit: usize) -> io::Result<Bytes> {
        let n_left = self.size().saturating_sub(at);
        let length = usize::try_from(n_left).unwrap_or(usize::MAX).min(limit);
        match self {
            Self::Memory(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at..at + length))
            }
            Self::File { file, offset, .. } => {
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, offset + at)?;
                Ok(buffer.into())
            }
        }
    }
}

/// A blob with the labels that tell containerd's garbage collector what it refers to.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) bytes: Bytestore,
    /// Digest by the name of the reference (`config`, `l.0`, `m.1`); empty for leaves.
    pub(super) children: BTreeMap<String, Digest>,
}

/// An image of a source, with every blob that it needs.
#[derive(Clone, Debug)]
pub struct SourceImage {
    pub names: Vec<ImageName>,
    /// The manifest or index that the names point at.
    pub target: Descriptor,
    /// The configuration for the platform that was asked for; its digest is the image's id in CRI.
    pub config: Digest,
    /// The manifest with that configuration: the target itself, or one that it lists.
    pub manifest: Digest,
    /// What that manifest is for. Of a target that is no index, it may differ from what was asked for.
    pub platform: Platform,
    /// Every blob of the image, each after those it refers to.
    pub(super) blobs: Vec<Digest>,
}

/// Images and their blobs.
#[derive(Clone, Debug, Default)]
pub struct ImageSource {
    pub(super) blobs: BTreeMap<Digest, Blob>,
    pub(super) images: Vec<SourceImage>,
}

impl ImageSource {
    /// Reads an archive: an OCI image layout or the output of `docker save`, plain or compressed
    /// by gzip, or a directory with an OCI image layout. `name` is for archives that do not name their image. Blocks.
    pub fn open(path: &Path, name: Option<&ImageName>) -> Result<Self, ImportError> {
        Self::open_for(path, name, &Platform::here())
    }

    /// As [`ImageSource::open`], for nodes of a platform that may not be this machine's. Blocks.
    pub fn open_for(path: &Path, name: Option<&ImageName>, platform: &Platform) -> Result<Self, ImportError> {
        layout::read(&Archive::open(path)?, name, platform)
    }

    /// As [`ImageSource::open`] for what cannot be read twice, such as standard input; it is
    /// stored in a temporary file first. Blocks.
    pub fn from_reader(reader: impl io::Read, name: Option<&ImageName>) -> Result<Self, ImportError> {
        layout::read(&Archive::from_reader(reader)?, name, &Platform::here())
    }

    /// The images, in the archive's order.
    #[must_use]
    pub fn images(&self) -> &[SourceImage] {
        &self.images
    }

    /// The same blobs with only the images that `wanted` is true for.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&SourceImage) -> bool) -> Self {
        self.images.retain(wanted);
        self
    }

    /// Replaces the names of every image.
    #[must_use]
    pub fn renamed(mut self, names: impl Fn(&SourceImage) -> Vec<ImageName>) -> Self {
        for image in &mut self.images {
            image.names = names(image);
        }
        self
    }

    /// The blobs of an image with their sizes, each after those it refers to.
    pub fn blobs_of<'a>(&'a self, image: &'a SourceImage) -> impl Iterator<Item = (&'a Digest, u64)> {
        image.blobs.iter().map(|digest| (digest, self.blobs[digest].bytes.size()))
    }

    /// At most `limit` bytes of a blob from `at` on; `None` if there is no such blob. Blocks.
    pub fn read_blob(&self, digest: &Digest, at: u64, limit: usize) -> Option<io::Result<Bytes>> {
        Some(self.blobs.get(digest)?.bytes.read(at, limit))
    }

    /// Adds the images of another source.
    pub fn extend(&mut self, other: Self) {
        self.blobs.extend(other.blobs);
        self.images.extend(other.images);
    }

    pub(super) fn add(&mut self, digest: Digest, bytes: Bytestore, children: BTreeMap<String, Digest>) {
        self.blobs.insert(digest, Blob { bytes, children });
    }

    /// The image of a target whose blobs are all there.
    pub(super) fn add_image(&mut self, names: Vec<ImageName>, target: Descriptor, found: Found) {
        let mut blobs = Vec::new();
        self.collect(&target.digest, &mut blobs, &mut BTreeSet::new());
        let Found { config, manifest, platform } = found;
        self.images.push(SourceImage { names, target, config, manifest, platform, blobs });
    }

    fn collect(&self, digest: &Digest, blobs: &mut Vec<Digest>, seen: &mut BTreeSet<Digest>) {
        let Some(blob) = self.blobs.get(digest) else {
            return;
        };
        if !seen.insert(digest.clone()) {
            return;
        }
        for child in blob.children.values() {
            self.collect(child, blobs, seen);
        }
        blobs.push(digest.clone());
    }
}
