//! Images without a registry.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use cri::import::{Digest, ImageBuilder, ImageName, ImportError};
use cri::{Error, v1};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{BUSYBOX, Node, busybox};

fn name(name: &str) -> ImageName {
    name.parse().unwrap()
}

fn tar(path: &Path, files: &[(&str, &[u8])]) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap().flush().unwrap();
}

fn blob_path(content: &[u8]) -> String {
    Digest::of(content).as_str().replace("sha256:", "blobs/sha256/")
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(content), "size": content.len()})
}

/// A layer with one file, uncompressed.
fn layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    tar.append_data(&mut header, "hi", &b"hi"[..]).unwrap();
    tar.into_inner().unwrap()
}

fn config(architecture: &str, layer: &[u8]) -> String {
    json!({"os": "linux", "architecture": architecture, "config": {},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(layer)]}})
    .to_string()
}

fn here() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

async fn image(node: &Node, name: &str) -> Option<v1::Image> {
    node.runtime.image_status(name).await.unwrap()
}

#[tokio::test]
async fn an_image_made_in_memory_is_loaded_and_loaded_again() {
    let node = Node::start_empty().await;
    let source = busybox(&[BUSYBOX, "example.com/me/busybox:2"]);
    let first = node.runtime.import(&source).await.unwrap();
    assert_eq!(first.len(), 1);
    let found = image(&node, "busybox:test").await.unwrap();
    assert_eq!(found.id, first[0].id.as_str());
    let mut tags = found.repo_tags.clone();
    tags.sort();
    assert_eq!(tags, [BUSYBOX, "example.com/me/busybox:2"]);
    // Every blob is there already.
    assert_eq!(node.runtime.import(&source).await.unwrap(), first);
    // Nothing is left of a removed image that stands in the way.
    node.runtime.remove_image(first[0].id.as_str()).await.unwrap();
    assert!(image(&node, BUSYBOX).await.is_none());
    // Two at once do not disturb each other.
    let (one, two) = tokio::join!(node.runtime.import(&source), node.runtime.import(&source));
    assert_eq!((one.unwrap(), two.unwrap()), (first.clone(), first));
    assert!(image(&node, BUSYBOX).await.is_some());
}

#[tokio::test]
async fn a_name_moves_to_the_newer_image() {
    let node = Node::start_empty().await;
    let version = |text: &'static str| ImageBuilder::new().file("/version", 0o644, text).build(vec![name("app:1")]);
    let old = node.runtime.import(&version("one")).await.unwrap();
    let new = node.runtime.import(&version("two")).await.unwrap();
    assert_ne!(old[0].id, new[0].id);
    assert_eq!(image(&node, "app:1").await.unwrap().id, new[0].id.as_str());
    // The old one stays by its id, without a name, for the kubelet to collect.
    assert_eq!(image(&node, old[0].id.as_str()).await.unwrap().repo_tags, [""; 0]);
}

#[tokio::test]
async fn garbage_collection_leaves_imported_images_whole() {
    let node = Node::start().await;
    let other = ImageBuilder::new().file("/x", 0o644, "x").build(vec![name("other:1")]);
    let other = node.runtime.import(&other).await.unwrap();
    // CRI collects garbage before it answers.
    node.runtime.remove_image(other[0].id.as_str()).await.unwrap();
    // Its layers are unpacked only now.
    node.idle("web").await;
}

#[tokio::test]
async fn the_older_docker_format_is_loaded_through_gzip() {
    let node = Node::start_empty().await;
    let layer = layer();
    let config = config(here(), &layer);
    let manifest = json!([{"Config": "abc.json", "Layers": ["1/layer.tar"],
        "RepoTags": ["app:1", "app:2"]}])
    .to_string();
    let plain = node.path("plain.tar");
    tar(&plain, &[("manifest.json", manifest.as_bytes()), ("abc.json", config.as_bytes()), ("1/layer.tar", &layer)]);
    let path = node.path("app.tar.gz");
    let mut gzip = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    gzip.write_all(&fs::read(&plain).unwrap()).unwrap();
    gzip.finish().unwrap();
    let imported = node.runtime.import_archive(&path, None).await.unwrap();
    assert_eq!(imported[0].id, Digest::of(config.as_bytes()));
    assert_eq!(imported[0].names, [name("app:1"), name("app:2")]);
    assert_eq!(image(&node, "app:2").await.unwrap().id, imported[0].id.as_str());
}

#[tokio::test]
async fn of_an_index_the_platforms_that_are_there_are_loaded() {
    let node = Node::start_empty().await;
    let layer = layer();
    let config = config(here(), &layer);
    let manifest = json!({"schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)]})
    .to_string();
    let mut present = descriptor("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    present["platform"] = json!({"os": "linux", "architecture": here()});
    let mut absent = descriptor("application/vnd.oci.image.manifest.v1+json", b"absent");
    absent["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let platforms = json!({"schemaVersion": 2, "manifests": [absent, present]}).to_string();
    let mut target = descriptor("application/vnd.oci.image.index.v1+json", platforms.as_bytes());
    target["annotations"] = json!({"io.containerd.image.name": "docker.io/library/multi:1"});
    let index = json!({"schemaVersion": 2, "manifests": [target]}).to_string();
    let path = node.path("multi.tar");
    tar(
        &path,
        &[
            ("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#),
            ("index.json", index.as_bytes()),
            (&blob_path(platforms.as_bytes()), platforms.as_bytes()),
            (&blob_path(manifest.as_bytes()), manifest.as_bytes()),
            (&blob_path(config.as_bytes()), config.as_bytes()),
            (&blob_path(&layer), &layer),
        ],
    );
    let imported = node.runtime.import_archive(&path, None).await.unwrap();
    assert_eq!(imported[0].digest, Digest::of(platforms.as_bytes()));
    assert_eq!(image(&node, "multi:1").await.unwrap().id, imported[0].id.as_str());
}

#[tokio::test]
async fn a_damaged_layer_is_refused_while_it_is_sent() {
    let node = Node::start_empty().await;
    let layer = layer();
    let mut damaged = layer.clone();
    damaged[600] ^= 1;
    let config = config(here(), &layer);
    let manifest = json!({"schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)]})
    .to_string();
    let target = descriptor("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [target]}).to_string();
    let path = node.path("damaged.tar");
    let write = |layer_content: &[u8]| {
        tar(
            &path,
            &[
                ("index.json", index.as_bytes()),
                (&blob_path(manifest.as_bytes()), manifest.as_bytes()),
                (&blob_path(config.as_bytes()), config.as_bytes()),
                (&blob_path(&layer), layer_content),
            ],
        );
    };
    write(&damaged);
    let import = || node.runtime.import_archive(&path, Some(name("app:1")));
    let error = import().await.unwrap_err();
    assert!(matches!(&error, Error::Import(ImportError::WrongDigest { .. })), "{error}");
    assert!(image(&node, "app:1").await.is_none());
    // The good archive is not hindered by what the bad one left.
    write(&layer);
    import().await.unwrap();
    assert!(image(&node, "app:1").await.is_some());
}
