//! Finds the images in an archive.
//!
//! Two layouts are known: the OCI image layout (`index.json`, which newer `docker save` writes too) and
//! the older `docker save` (`manifest.json` alone), whose images get an OCI manifest made here.
//!
//! Invariant: JSON is believed only after its digest was checked, and an image is reported only with
//! all the blobs that it needs. Layers are checked later, while they are sent.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::archive::Archive;
use super::source::{
    Bytestore, Descriptor, Digest, Found, ImageSource, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST,
    Platform,
};
use super::{ImageName, ImportError};

const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Annotations that name an image. Docker writes the full name into the first one, and the tag
/// alone into the second; other tools write the full name into the second.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const OCI_NAME: &str = "org.opencontainers.image.ref.name";

/// No manifest, index or configuration is larger; containerd's own limit is the same.
const MAX_JSON: u64 = 8 << 20;
/// How deep indexes may nest: an archive's, a platform index, its manifests, and some to spare.
const MAX_DEPTH: usize = 5;
/// How much of a layer is hashed at a time.
const CHUNK: usize = 1 << 20;

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// An element of the old `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

pub(super) fn read(
    archive: &Archive,
    name: Option<&ImageName>,
    platform: &Platform,
) -> Result<ImageSource, ImportError> {
    let saved: Vec<Saved> = match archive.get("manifest.json") {
        Some(bytes) => json("manifest.json", &read_small("manifest.json", &bytes)?)?,
        None => Vec::new(),
    };
    let mut source = ImageSource::default();
    match archive.get("index.json") {
        Some(bytes) => read_oci(archive, &bytes, &saved, &mut source, platform)?,
        None if archive.get("manifest.json").is_some() => read_saved(archive, &saved, &mut source)?,
        None => return Err(ImportError::NotAnImage),
    }
    name_images(&mut source, name)?;
    Ok(source)
}

/// Applies the given name, and insists that each image has one.
fn name_images(source: &mut ImageSource, name: Option<&ImageName>) -> Result<(), ImportError> {
    match (name, source.images.as_mut_slice()) {
        (_, []) => return Err(ImportError::invalid("the index", "lists no image")),
        (Some(name), [image]) => image.names = vec![name.clone()],
        (Some(_), images) => {
            let problem = format!("lists {} images: they cannot get one name", images.len());
            return Err(ImportError::invalid("the index", problem));
        }
        (None, _) => {}
    }
    match source.images.iter().find(|image| image.names.is_empty()) {
        Some(image) => Err(ImportError::Unnamed { digest: image.target.digest.to_string() }),
        None => Ok(()),
    }
}

fn read_oci(
    archive: &Archive,
    index: &Bytestore,
    saved: &[Saved],
    source: &mut ImageSource,
    platform: &Platform,
) -> Result<(), ImportError> {
    let index: Index = json("index.json", &read_small("index.json", index)?)?;
    // One entry for each name: entries of one digest are one image.
    let mut names: BTreeMap<Digest, Vec<ImageName>> = BTreeMap::new();
    let mut targets: Vec<Descriptor> = Vec::new();
    for target in index.manifests {
        let names = names.entry(target.digest.clone()).or_default();
        names.extend(annotated_name(&target)?);
        if !targets.iter().any(|other| other.digest == target.digest) {
            targets.push(target);
        }
    }
    for mut target in targets {
        let found = Walk { archive, source, wanted: platform }.target(&mut target, "index.json", MAX_DEPTH)?;
        let mut names = names.remove(&target.digest).unwrap_or_default();
        let same_config = |saved: &&Saved| saved.config.contains(found.config.hex());
        for saved in saved.iter().filter(same_config) {
            names.extend(tags(saved)?);
        }
        names.sort();
        names.dedup();
        target.annotations.clear();
        target.platform = None;
        source.add_image(names, target, found);
    }
    Ok(())
}

fn annotated_name(target: &Descriptor) -> Result<Option<ImageName>, ImportError> {
    if let Some(name) = target.annotations.get(CONTAINERD_NAME) {
        return Ok(Some(name.parse()?));
    }
    match target.annotations.get(OCI_NAME) {
        // Without either it may be a tag alone, which names nothing.
        Some(name) if name.contains(['/', ':']) => Ok(Some(name.parse()?)),
        _ => Ok(None),
    }
}

fn tags(saved: &Saved) -> Result<Vec<ImageName>, ImportError> {
    let tags = saved.repo_tags.iter().flatten();
    let names: Result<_, _> = tags.map(|tag| tag.parse()).collect();
    Ok(names?)
}

/// Goes from a descriptor down to the layers.
struct Walk<'a> {
    archive: &'a Archive,
    source: &'a mut ImageSource,
    wanted: &'a Platform,
}

impl Walk<'_> {
    fn target(&mut self, target: &mut Descriptor, parent: &str, depth: usize) -> Result<Found, ImportError> {
        let bytes = self.blob(target, parent)?;
        let text = self.checked_json(target, &bytes)?;
        let entry = target.digest.to_string();
        if target.media_type.is_empty() {
            target.media_type = sniff(&entry, &text)?.to_owned();
        }
        match target.media_type.as_str() {
            OCI_INDEX | DOCKER_INDEX => self.index(target, bytes, &text, depth),
            OCI_MANIFEST | DOCKER_MANIFEST => self.manifest(target, bytes, &text),
            other => Err(ImportError::Unsupported {
                what: format!("{entry} of type {other:?}"),
                instead: "save the image with `docker save` or `skopeo copy … oci-archive:`",
            }),
        }
    }

    /// An index may list platforms that were not saved: what is there counts.
    fn index(
        &mut self,
        target: &Descriptor,
        bytes: Bytestore,
        text: &[u8],
        depth: usize,
    ) -> Result<Found, ImportError> {
        let entry = target.digest.to_string();
        if depth == 0 {
            return Err(ImportError::invalid(entry, "is nested too deeply"));
        }
        let index: Index = json(&entry, text)?;
        let mut children = BTreeMap::new();
        let mut here = None;
        let mut elsewhere = Vec::new();
        for (i, mut child) in index.manifests.into_iter().enumerate() {
            let found = match self.target(&mut child, &entry, depth - 1) {
                Err(ImportError::MissingBlob { .. } | ImportError::Unsupported { .. }) => continue,
                found => found?,
            };
            children.insert(format!("m.{i}"), child.digest);
            if here.is_none() && found.platform == *self.wanted {
                here = Some(found);
            } else {
                elsewhere.push(found.platform.to_string());
            }
        }
        self.source.add(target.digest.clone(), bytes, children);
        here.ok_or_else(|| {
            let problem = match elsewhere.is_empty() {
                true => "lists nothing that is in the archive".to_owned(),
                false => format!("is for {} only, not for {}", elsewhere.join(", "), self.wanted),
            };
            ImportError::invalid(entry, problem)
        })
    }

    fn manifest(&mut self, target: &Descriptor, bytes: Bytestore, text: &[u8]) -> Result<Found, ImportError> {
        let entry = target.digest.to_string();
        let manifest: Manifest = json(&entry, text)?;
        let config_bytes = self.blob(&manifest.config, &entry)?;
        let config_text = self.checked_json(&manifest.config, &config_bytes)?;
        let config: Config = json(manifest.config.digest.as_str(), &config_text)?;
        let mut children = BTreeMap::new();
        for (i, layer) in manifest.layers.iter().enumerate() {
            let bytes = self.blob(layer, &entry)?;
            self.source.add(layer.digest.clone(), bytes, BTreeMap::new());
            children.insert(format!("l.{i}"), layer.digest.clone());
        }
        let config_digest = manifest.config.digest;
        self.source.add(config_digest.clone(), config_bytes, BTreeMap::new());
        children.insert("config".to_owned(), config_digest.clone());
        self.source.add(target.digest.clone(), bytes, children);
        let platform = target.platform.clone().unwrap_or(Platform { os: config.os, architecture: config.architecture });
        Ok(Found { manifest: target.digest.clone(), config: config_digest, platform })
    }

    /// A blob of the right size.
    fn blob(&self, descriptor: &Descriptor, needed_by: &str) -> Result<Bytestore, ImportError> {
        let path = format!("blobs/sha256/{}", descriptor.digest.hex());
        let bytes = self.archive.get(&path).ok_or_else(|| ImportError::MissingBlob {
            digest: descriptor.digest.to_string(),
            needed_by: needed_by.to_owned(),
        })?;
        if bytes.size() != descriptor.size {
            let (actual, expected) = (bytes.size(), descriptor.size);
            let problem = format!("has {actual} bytes, {needed_by} says {expected}");
            return Err(ImportError::invalid(path, problem));
        }
        Ok(bytes)
    }

    fn checked_json(&self, descriptor: &Descriptor, bytes: &Bytestore) -> Result<Vec<u8>, ImportError> {
        let expected = &descriptor.digest;
        let text = read_small(expected.as_str(), bytes)?;
        let actual = Digest::of(&text);
        if actual != *expected {
            return Err(ImportError::WrongDigest {
                entry: format!("blobs/sha256/{}", expected.hex()),
                expected: expected.to_string(),
                actual: actual.to_string(),
            });
        }
        Ok(text)
    }
}

/// The media type of a document whose descriptor has none.
fn sniff(entry: &str, text: &[u8]) -> Result<&'static str, ImportError> {
    let document: serde_json::Value = json(entry, text)?;
    Ok(match document.get("manifests") {
        Some(_) => OCI_INDEX,
        None => OCI_MANIFEST,
    })
}

fn read_saved(archive: &Archive, saved: &[Saved], source: &mut ImageSource) -> Result<(), ImportError> {
    for saved in saved {
        let names = tags(saved)?;
        let file = |path: &str| {
            archive.get(path).ok_or_else(|| ImportError::MissingBlob {
                digest: path.to_owned(),
                needed_by: "manifest.json".to_owned(),
            })
        };
        let config_text = read_small(&saved.config, &file(&saved.config)?)?;
        let config: Config = json(&saved.config, &config_text)?;
        let mut layers = Vec::new();
        for (i, path) in saved.layers.iter().enumerate() {
            let bytes = file(path)?;
            let layer = saved_layer(path, &bytes, config.rootfs.diff_ids.get(i))?;
            source.add(layer.digest.clone(), bytes, BTreeMap::new());
            layers.push(layer);
        }
        let platform = Platform { os: config.os, architecture: config.architecture };
        source.add_manifest(names, config_text.into(), layers, platform);
    }
    Ok(())
}

/// Describes a layer of the old format, whose digest is written down only in the configuration.
fn saved_layer(path: &str, bytes: &Bytestore, diff_id: Option<&String>) -> Result<Descriptor, ImportError> {
    let unreadable = |source| ImportError::Read { what: path.to_owned(), source };
    let mut hash = Sha256::new();
    let mut at = 0;
    let mut gzip = false;
    while at < bytes.size() {
        let chunk = bytes.read(at, CHUNK).map_err(unreadable)?;
        gzip = gzip || (at == 0 && chunk.starts_with(&[0x1f, 0x8b]));
        hash.update(&chunk);
        at += chunk.len() as u64;
    }
    let digest = Digest::from_hash(hash);
    // The configuration has the digest of what is in the layer, not of its compressed form.
    match diff_id {
        None => return Err(ImportError::invalid(path, "is no layer of the configuration")),
        Some(expected) if !gzip && *expected != *digest.as_str() => {
            return Err(ImportError::WrongDigest {
                entry: path.to_owned(),
                expected: expected.clone(),
                actual: digest.to_string(),
            });
        }
        Some(_) => {}
    }
    let media_type = if gzip { OCI_LAYER_GZIP } else { OCI_LAYER };
    Ok(Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size: bytes.size(),
        annotations: BTreeMap::new(),
        platform: None,
    })
}

impl ImageSource {
    /// Adds an image of one manifest, which is made here; the layers must have been added.
    pub(super) fn add_manifest(
        &mut self,
        names: Vec<ImageName>,
        config: bytes::Bytes,
        layers: Vec<Descriptor>,
        platform: Platform,
    ) {
        let config_descriptor = self.add_document(OCI_CONFIG, config, BTreeMap::new());
        let config = config_descriptor.digest.clone();
        let mut children: BTreeMap<_, _> =
            (layers.iter().enumerate()).map(|(i, layer)| (format!("l.{i}"), layer.digest.clone())).collect();
        children.insert("config".to_owned(), config.clone());
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config_descriptor,
            "layers": layers,
        });
        let target = self.add_document(OCI_MANIFEST, manifest.to_string().into(), children);
        let found = Found { manifest: target.digest.clone(), config, platform };
        self.add_image(names, target, found);
    }

    fn add_document(&mut self, media_type: &str, text: bytes::Bytes, children: BTreeMap<String, Digest>) -> Descriptor {
        let digest = Digest::of(&text);
        let size = text.len() as u64;
        self.add(digest.clone(), Bytestore::Memory(text), children);
        Descriptor { media_type: media_type.to_owned(), digest, size, annotations: BTreeMap::new(), platform: None }
    }
}

fn read_small(entry: &str, bytes: &Bytestore) -> Result<Vec<u8>, ImportError> {
    if bytes.size() > MAX_JSON {
        return Err(ImportError::invalid(entry, "is larger than 8 MiB"));
    }
    let text = bytes.read(0, MAX_JSON as usize);
    text.map(Vec::from).map_err(|source| ImportError::Read { what: entry.to_owned(), source })
}

fn json<T: DeserializeOwned>(entry: &str, text: &[u8]) -> Result<T, ImportError> {
    serde_json::from_slice(text).map_err(|err| ImportError::invalid(entry, err))
}
