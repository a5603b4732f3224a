//! Images that come from a file or from memory instead of a registry.
//!
//! [`ImageSource`] is a checked set of blobs with the images that they make up, read from an archive
//! ([`ImageSource::open`]: OCI image layout or `docker save`, plain or gzip) or built in memory
//! ([`ImageBuilder`]). `Runtime::import` writes it into containerd and names the images.
//!
//! Invariants: no blob is held in memory whole unless it was built there; each blob's digest is checked
//! before containerd gets its last byte; a failed import leaves nothing behind that containerd's
//! garbage collector does not remove.
//!
//! Deliberately absent: signatures, zstd-compressed archives, digests other than sha256, export.

mod archive;
mod build;
mod layout;
mod load;
mod name;
mod source;
#[cfg(test)]
mod tests;

use std::io;

pub use build::ImageBuilder;
pub use load::{Imported, Staging};
pub use name::{ImageName, NameError, Version};
pub use source::{Descriptor, Digest, ImageSource, Platform, SourceImage};

/// Why an image archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file could not be read, or is no tar archive.
    #[error("could not read {what} of the image archive")]
    Read {
        what: String,
        #[source]
        source: io::Error,
    },
    /// The file ends early: an interrupted copy or download.
    #[error("the image archive is truncated within {entry}; copy it again")]
    Truncated { entry: String },
    /// An entry's name leads out of the archive.
    #[error("the image archive has an unsafe path {entry:?}; do not trust where it came from")]
    UnsafePath { entry: String },
    /// It is a tar archive but neither kind of image.
    #[error("the archive has neither index.json (OCI image layout) nor manifest.json (docker save)")]
    NotAnImage,
    /// A part of it is not what it should be.
    #[error("{entry} in the image archive: {problem}")]
    Invalid { entry: String, problem: String },
    /// A blob that an image needs is not there.
    #[error("{needed_by} needs {digest}, which is not in the image archive")]
    MissingBlob { digest: String, needed_by: String },
    /// A blob's bytes are not those that its name promises.
    #[error("{entry} in the image archive has the digest {actual}, not {expected}; it is damaged")]
    WrongDigest { entry: String, expected: String, actual: String },
    /// Nothing in the archive says what the image is called.
    #[error("the archive does not name the image {digest}; give it a name")]
    Unnamed { digest: String },
    /// A name given or found is no image reference.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Something that is known and not supported.
    #[error("{what} is not supported; {instead}")]
    Unsupported { what: String, instead: &'static str },
}

impl ImportError {
    fn invalid(entry: impl Into<String>, problem: impl ToString) -> Self {
        Self::Invalid { entry: entry.into(), problem: problem.to_string() }
    }
}
