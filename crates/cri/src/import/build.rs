//! Makes an image in memory out of a few files: for pause, samples and tests.
//!
//! Invariant: the same input gives the same bytes, hence the same digests, on every machine of one
//! architecture: times and owners are zero.
//!
//! Deliberately absent: base images and commands to run. Who needs those has a Dockerfile.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tar::{EntryType, Header};

use super::ImageName;
use super::source::{Bytestore, Descriptor, Digest, ImageSource, OCI_LAYER, Platform};

/// The parts of an image of one layer. Directories on the way to a file are made.
#[derive(Clone, Debug, Default)]
pub struct ImageBuilder {
    entries: BTreeMap<String, Entry>,
    config: Map<String, Value>,
}

#[derive(Clone, Debug)]
enum Entry {
    Directory(u32),
    File(u32, Bytes),
    Link(String),
}

impl ImageBuilder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file; `path` is absolute, `mode` such as `0o755`.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, content: impl Into<Bytes>) -> Self {
        self.entry(path, Entry::File(mode, content.into()))
    }

    /// Adds a directory.
    #[must_use]
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, Entry::Directory(mode))
    }

    /// Adds a symbolic link to `target`.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, Entry::Link(target.to_owned()))
    }

    /// Sets a field of the image's configuration, such as `Entrypoint`, `Cmd`, `Env`, `User`,
    /// `WorkingDir`, `ExposedPorts`, `Labels` or `StopSignal` (OCI image specification, `config.md`).
    #[must_use]
    pub fn config(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.config.insert(field.to_owned(), value.into());
        self
    }

    /// The image under the given names, for this machine's architecture.
    #[must_use]
    pub fn build(self, names: Vec<ImageName>) -> ImageSource {
        let layer: Bytes = self.layer().into();
        let digest = Digest::of(&layer);
        let config = json!({
            "architecture": Platform::here().architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "shipmate"}],
        });
        let descriptor = Descriptor {
            media_type: OCI_LAYER.to_owned(),
            digest: digest.clone(),
            size: layer.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        };
        let mut source = ImageSource::default();
        source.add(digest, Bytestore::Memory(layer), BTreeMap::new());
        source.add_manifest(names, config.to_string().into(), vec![descriptor], Platform::here());
        source
    }

    /// Paths are as a shell would read them from `/`; of the root itself there is nothing to say.
    fn entry(mut self, path: &str, entry: Entry) -> Self {
        assert!(!path.contains('\0'), "no path of a file has a NUL byte");
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        for n_parts in 1..parts.len() {
            let parent = parts[..n_parts].join("/");
            self.entries.entry(parent).or_insert(Entry::Directory(0o755));
        }
        if !parts.is_empty() {
            self.entries.insert(parts.join("/"), entry);
        }
        self
    }

    fn layer(&self) -> Vec<u8> {
        const IN_MEMORY: &str = "writing to memory cannot fail";
        let mut tar = tar::Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = Header::new_gnu();
            header.set_mtime(0);
            match entry {
                Entry::Directory(mode) => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_size(0);
                    tar.append_data(&mut header, format!("{path}/"), &[][..])
                }
                Entry::File(mode, content) => {
                    header.set_entry_type(EntryType::Regular);
                    header.set_mode(*mode);
                    header.set_size(content.len() as u64);
                    tar.append_data(&mut header, path, &content[..])
                }
                Entry::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    tar.append_link(&mut header, path, target)
                }
            }
            .expect(IN_MEMORY);
        }
        tar.into_inner().expect(IN_MEMORY)
    }
}
