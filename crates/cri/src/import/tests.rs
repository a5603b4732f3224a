//! Archives as they should not be. None of these needs containerd.

use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::*;

/// Writes a tar archive, also with names that a decent writer refuses.
fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_old();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        if *kind == EntryType::Symlink {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content);
            header.set_size(0);
        } else {
            header.set_size(content.len() as u64);
        }
        header.set_cksum();
        let body = if *kind == EntryType::Symlink { &[][..] } else { content };
        tar.append(&header, body).unwrap();
    }
    tar.into_inner().unwrap()
}

fn files(files: &[(&str, &[u8])]) -> Vec<u8> {
    let entries: Vec<_> = files.iter().map(|(name, content)| (*name, EntryType::Regular, *content)).collect();
    tar(&entries)
}

fn read(archive: &[u8]) -> Result<ImageSource, ImportError> {
    ImageSource::from_reader(archive, None)
}

fn check_refused(archive: &[u8], expected: &str) {
    let error = read(archive).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

fn blob(content: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(content).hex())
}

fn descriptor(content: &[u8]) -> Value {
    json!({"digest": Digest::of(content), "size": content.len()})
}

/// The documents of an image whose single layer is `layer`.
struct Documents {
    config: String,
    manifest: String,
    index: String,
}

fn documents(layer: &[u8]) -> Documents {
    let config = json!({"rootfs": {"diff_ids": [Digest::of(layer)]}}).to_string();
    let manifest = json!({"config": descriptor(config.as_bytes()), "layers": [descriptor(layer)]});
    let manifest = manifest.to_string();
    let mut target = descriptor(manifest.as_bytes());
    target["annotations"] = json!({"org.opencontainers.image.ref.name": "me/app:1"});
    let index = json!({"manifests": [target]}).to_string();
    Documents { config, manifest, index }
}

fn layout(layer: &[u8]) -> Vec<u8> {
    let it = documents(layer);
    files(&[
        ("./index.json", it.index.as_bytes()),
        (&blob(it.config.as_bytes()), it.config.as_bytes()),
        (&blob(it.manifest.as_bytes()), it.manifest.as_bytes()),
        (&blob(layer), layer),
    ])
}

#[test]
fn a_good_layout_is_read() {
    let source = read(&layout(b"layer")).unwrap();
    let [image] = source.images() else { panic!() };
    assert_eq!(image.names[0].to_string(), "docker.io/me/app:1");
    assert_eq!(image.blobs.len(), 3);
    assert_eq!(image.blobs.last(), Some(&image.target.digest));
}

#[test]
fn a_given_name_replaces_the_one_inside() {
    let name: ImageName = "other:2".parse().unwrap();
    let archive = layout(b"layer");
    let source = ImageSource::from_reader(&archive[..], Some(&name)).unwrap();
    assert_eq!(source.images()[0].names, [name]);
}

#[test]
fn an_archive_that_was_cut_off_is_told() {
    let layer = vec![b'x'; 100_000];
    let archive = layout(&layer);
    check_refused(&archive[..archive.len() - 60_000], "truncated within blobs/sha256/");
    // Cut between entries: what is missing is named.
    let it = documents(&layer);
    let start = files(&[("index.json", it.index.as_bytes()), (&blob(it.manifest.as_bytes()), it.manifest.as_bytes())]);
    check_refused(&start, &format!("needs {}", Digest::of(it.config.as_bytes())));
    // Compressed, then cut.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &archive).unwrap();
    let gzip = gzip.finish().unwrap();
    assert!(read(&gzip).is_ok());
    check_refused(&gzip[..gzip.len() / 2], "truncated within its compressed data");
}

#[test]
fn what_is_no_image_is_told() {
    check_refused(b"", "neither index.json");
    check_refused(b"just some text", "is it a tar file?");
    check_refused(&[b'x'; 4096], "is it a tar file?");
    check_refused(&files(&[("readme", b"hello")]), "neither index.json");
    check_refused(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0], "zstd");
    check_refused(&files(&[("index.json", b"{")]), "index.json in the image archive");
    check_refused(&files(&[("index.json", br#"{"manifests": []}"#)]), "lists no image");
    check_refused(&files(&[("manifest.json", b"[]")]), "lists no image");
    let deep = "[".repeat(100_000);
    check_refused(&files(&[("index.json", deep.as_bytes())]), "index.json");
}

#[test]
fn paths_out_of_the_archive_are_refused() {
    for path in ["../evil", "a/../../evil", "blobs/../index.json", "/etc/passwd"] {
        check_refused(&files(&[(path, b"x")]), "unsafe path");
    }
    for target in ["../../etc/shadow", "/etc/shadow"] {
        let link = ("a/manifest.json", EntryType::Symlink, target.as_bytes());
        check_refused(&tar(&[link]), "unsafe path");
    }
    let device = ("dev/null", EntryType::Char, &b""[..]);
    check_refused(&tar(&[device]), "neither a file nor a directory");
}

#[test]
fn links_are_followed_and_loops_are_not() {
    let layer = b"shared";
    let config = json!({"rootfs": {"diff_ids": [Digest::of(layer)]}}).to_string();
    let saved = |target: &str| {
        let manifest = json!([{"Config": "c.json", "RepoTags": ["app"], "Layers": ["2/layer.tar"]}]);
        tar(&[
            ("manifest.json", EntryType::Regular, manifest.to_string().as_bytes()),
            ("c.json", EntryType::Regular, config.as_bytes()),
            ("1/layer.tar", EntryType::Regular, layer),
            ("2/layer.tar", EntryType::Symlink, target.as_bytes()),
        ])
    };
    let source = read(&saved("../1/layer.tar")).unwrap();
    assert_eq!(source.images()[0].names[0].to_string(), "docker.io/library/app:latest");
    check_refused(&saved("layer.tar"), "needs 2/layer.tar");
}

#[test]
fn documents_with_other_bytes_than_promised_are_refused() {
    let it = documents(b"layer");
    let damaged = it.manifest.replace("size", "Size");
    let archive = files(&[
        ("index.json", it.index.as_bytes()),
        (&blob(it.config.as_bytes()), it.config.as_bytes()),
        (&blob(it.manifest.as_bytes()), damaged.as_bytes()),
        (&blob(b"layer"), b"layer"),
    ]);
    check_refused(&archive, "it is damaged");
    let archive = files(&[
        ("index.json", it.index.as_bytes()),
        (&blob(it.config.as_bytes()), it.config.as_bytes()),
        (&blob(it.manifest.as_bytes()), it.manifest.as_bytes()),
        (&blob(b"layer"), b"longer layer"),
    ]);
    check_refused(&archive, "has 12 bytes");
}

#[test]
fn digests_are_never_used_as_paths() {
    let target = json!({"digest": "sha256:../../../etc/passwd", "size": 1});
    let index = json!({"manifests": [target]}).to_string();
    check_refused(&files(&[("index.json", index.as_bytes())]), "not a sha256 digest");
}

#[test]
fn a_saved_layer_must_be_the_one_of_the_configuration() {
    let config = json!({"rootfs": {"diff_ids": [Digest::of(b"another")]}}).to_string();
    let manifest = json!([{"Config": "c.json", "RepoTags": ["app"], "Layers": ["l.tar"]}]);
    let archive = files(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        ("c.json", config.as_bytes()),
        ("l.tar", b"layer"),
    ]);
    check_refused(&archive, "l.tar in the image archive has the digest");
}

#[test]
fn an_image_without_a_name_needs_one() {
    let it = documents(b"layer");
    let index = it.index.replace("me/app:1", "1");
    let archive = files(&[
        ("index.json", index.as_bytes()),
        (&blob(it.config.as_bytes()), it.config.as_bytes()),
        (&blob(it.manifest.as_bytes()), it.manifest.as_bytes()),
        (&blob(b"layer"), b"layer"),
    ]);
    check_refused(&archive, "give it a name");
}

#[test]
fn an_index_of_other_machines_alone_is_refused() {
    let it = documents(b"layer");
    let mut manifest = descriptor(it.manifest.as_bytes());
    manifest["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let platforms = json!({"manifests": [manifest]}).to_string();
    let index = json!({"manifests": [descriptor(platforms.as_bytes())]}).to_string();
    let archive = files(&[
        ("index.json", index.as_bytes()),
        (&blob(platforms.as_bytes()), platforms.as_bytes()),
        (&blob(it.config.as_bytes()), it.config.as_bytes()),
        (&blob(it.manifest.as_bytes()), it.manifest.as_bytes()),
        (&blob(b"layer"), b"layer"),
    ]);
    check_refused(&archive, "is for linux/s390x only");
}

#[test]
fn the_same_files_give_the_same_image() {
    let build = || {
        ImageBuilder::new()
            .file("/bin/app", 0o755, "binary")
            .link("/app", "bin/app")
            .config("Entrypoint", vec!["/bin/app"])
            .build(vec!["app".parse().unwrap()])
    };
    let (one, two) = (build(), build());
    assert_eq!(one.images()[0].target, two.images()[0].target);
    // However its paths are written.
    let other = ImageBuilder::new()
        .directory("/", 0o755)
        .file("bin/./app", 0o755, "binary")
        .link("/bin/../../app", "bin/app")
        .config("Entrypoint", vec!["/bin/app"])
        .build(vec!["app".parse().unwrap()]);
    assert_eq!(one.images()[0].target, other.images()[0].target);
}
