//! The images of a node through `ctr`, containerd's own tool: where its socket can't be forwarded, but `sudo ctr` works.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use cri::import::{Digest, ImageSource, SourceImage};
use cri::{ImageUser, NamedImage};
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::stock::{Bytes, Stock, StockError};
use crate::access::{Access, Ran};

/// For what only looks something up.
const QUERY: Duration = Duration::from_secs(60);
/// For a whole image over a slow line.
const LOAD: Duration = Duration::from_secs(2 * 60 * 60);
/// How often, and how many times, it is looked whether CRI has seen an image.
const SEEN_LOOK: Duration = Duration::from_millis(100);
const SEEN_LOOKS: u32 = 30;
/// How much of a blob is in memory at a time.
const CHUNK: usize = 1 << 20;
/// A tar archive consists of blocks of so many bytes.
const BLOCK: u64 = 512;

/// `ctr` on a node.
pub(super) struct Ctr {
    access: Arc<dyn Access>,
    address: String,
}

impl Ctr {
    pub(super) fn new(access: Arc<dyn Access>, address: &str) -> Self {
        Self { access, address: address.to_owned() }
    }

    fn arguments<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [&["--address", &self.address, "--namespace", cri::NAMESPACE], words].concat()
    }

    async fn run(&self, words: &[&str]) -> Result<Ran, StockError> {
        let ran = self.access.run("ctr", &self.arguments(words), None, QUERY).await?;
        checked(words, ran)
    }

    async fn lines(&self, words: &[&str]) -> Result<Vec<String>, StockError> {
        let ran = self.run(words).await?;
        Ok(String::from_utf8_lossy(&ran.stdout).lines().map(str::to_owned).collect())
    }

    /// CRI makes this name when it sees the image, a moment later; without CRI nobody does, and nobody needs it.
    async fn label_id(&self, id: &str, labels: &BTreeMap<String, String>) -> Result<(), StockError> {
        for _ in 0..SEEN_LOOKS {
            match self.label(id, labels).await {
                Err(StockError::Ctr { words, .. }) if words.contains("not found") => {}
                result => return result,
            }
            tokio::time::sleep(SEEN_LOOK).await;
        }
        Ok(())
    }

    async fn holds_document(&self, digest: &Digest) -> Result<bool, StockError> {
        match self.run(&["content", "get", digest.as_str()]).await {
            Ok(ran) => Ok(Digest::of(&ran.stdout) == *digest),
            Err(StockError::Ctr { words, .. }) if words.contains("not found") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn checked(words: &[&str], ran: Ran) -> Result<Ran, StockError> {
    if ran.succeeded() {
        return Ok(ran);
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let said = said.trim().lines().last().unwrap_or_default().trim_start_matches("ctr: ");
    // The first two words say which command it was; names may be long.
    let what = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    Err(StockError::Ctr { what, words: if said.is_empty() { "it said nothing".to_owned() } else { said.to_owned() } })
}

#[async_trait::async_trait]
impl Stock for Ctr {
    fn way(&self) -> &'static str {
        "ctr"
    }

    async fn version(&self) -> Result<String, StockError> {
        let lines = self.lines(&["version"]).await?;
        // The client's version comes first, the server's second.
        let versions: Vec<&str> = lines.iter().filter_map(|line| line.trim().strip_prefix("Version:")).collect();
        Ok(versions.last().map(|version| version.trim().to_owned()).unwrap_or_default())
    }

    async fn names(&self) -> Result<Vec<NamedImage>, StockError> {
        let lines = self.lines(&["images", "ls"]).await?;
        Ok(lines.iter().skip(1).filter_map(|line| named_image(line)).collect())
    }

    async fn users(&self) -> Result<Vec<ImageUser>, StockError> {
        let lines = self.lines(&["containers", "ls"]).await?;
        let user = |line: &String| {
            let mut cells = line.split_whitespace();
            let (container, image) = (cells.next()?.to_owned(), cells.next()?.to_owned());
            Some(ImageUser { container, image, labels: BTreeMap::new() })
        };
        Ok(lines.iter().skip(1).filter_map(user).collect())
    }

    async fn load(
        &self,
        source: &Arc<ImageSource>,
        labels: &BTreeMap<String, String>,
        progress: Bytes,
    ) -> Result<(), StockError> {
        let (to, from) = tokio::io::duplex(CHUNK);
        let archive = source.clone();
        // Owned here: it ends with the load, whatever happens to it.
        let writing = AbortOnDropHandle::new(tokio::spawn(async move { write_archive(to, &archive, &progress).await }));
        let words = ["images", "import", "-"];
        let ran = self.access.feed("ctr", &self.arguments(&words), Box::new(from), LOAD).await?;
        checked(&words, ran)?;
        if let Ok(Err(error)) = writing.await {
            return Err(StockError::Ctr { what: "images import".to_owned(), words: error.to_string() });
        }
        for image in source.images() {
            for name in &image.names {
                self.label(&name.to_string(), labels).await?;
            }
            self.label_id(image.config.as_str(), labels).await?;
        }
        Ok(())
    }

    async fn damage(&self, source: &ImageSource, image: &SourceImage) -> Result<Option<String>, StockError> {
        let there = self.lines(&["content", "ls", "--quiet"]).await?;
        for (digest, _) in source.blobs_of(image) {
            if !there.iter().any(|line| line.trim() == digest.as_str()) {
                return Ok(Some(format!("the blob {digest} is not there")));
            }
        }
        for digest in [&image.target.digest, &image.manifest, &image.config] {
            if !self.holds_document(digest).await? {
                return Ok(Some(format!("the document {digest} is damaged")));
            }
        }
        Ok(None)
    }

    async fn has(&self, digest: &str) -> Result<bool, StockError> {
        Ok(self.lines(&["content", "ls", "--quiet"]).await?.iter().any(|line| line.trim() == digest))
    }

    async fn label(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), StockError> {
        let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut words = vec!["images", "label", name];
        words.extend(pairs.iter().map(String::as_str));
        self.run(&words).await.map(drop)
    }

    async fn repoint(&self, image: &NamedImage) -> Result<(), StockError> {
        // `ctr` points names only at what another name points at.
        let names = self.names().await?;
        let Some(other) = names.iter().find(|other| other.digest == image.digest && other.name != image.name) else {
            let words = format!("no other name points at {}", image.digest);
            return Err(StockError::Ctr { what: "images tag".to_owned(), words });
        };
        self.run(&["images", "tag", "--force", &other.name, &image.name]).await.map(drop)
    }

    async fn remove(&self, name: &str) -> Result<(), StockError> {
        match self.run(&["images", "rm", "--sync", name]).await {
            Err(StockError::Ctr { words, .. }) if words.contains("not found") => Ok(()),
            result => result.map(drop),
        }
    }
}

/// A line of `ctr images ls`: REF TYPE DIGEST SIZE PLATFORMS LABELS, where SIZE has two words.
fn named_image(line: &str) -> Option<NamedImage> {
    let cells: Vec<&str> = line.split_whitespace().collect();
    let [name, media_type, digest, ..] = cells.as_slice() else { return None };
    let labels = cells.last().filter(|_| cells.len() > 5).copied().unwrap_or_default();
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    Some(NamedImage {
        name: (*name).to_owned(),
        digest: (*digest).to_owned(),
        media_type: (*media_type).to_owned(),
        size: 0,
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    })
}

/// Writes the source as an archive with an OCI image layout.
async fn write_archive(mut to: impl AsyncWrite + Unpin, source: &Arc<ImageSource>, progress: &Bytes) -> io::Result<()> {
    let mut manifests = Vec::new();
    let mut written = std::collections::BTreeSet::new();
    for image in source.images() {
        for name in &image.names {
            manifests.push(json!({
                "mediaType": image.target.media_type, "digest": image.target.digest, "size": image.target.size,
                "annotations": {"io.containerd.image.name": name.to_string()},
            }));
        }
        for (digest, size) in source.blobs_of(image) {
            if !written.insert(digest.clone()) {
                continue;
            }
            let path = digest.as_str().replace("sha256:", "blobs/sha256/");
            to.write_all(&header(&path, size)?).await?;
            let mut at = 0;
            while at < size {
                let (blobs, blob) = (source.clone(), digest.clone());
                let read = tokio::task::spawn_blocking(move || blobs.read_blob(&blob, at, CHUNK));
                let read = read.await.map_err(io::Error::other)?;
                let bytes = read.ok_or_else(|| io::Error::other(format!("{digest} is not in the image")))??;
                to.write_all(&bytes).await?;
                at += bytes.len() as u64;
                progress(bytes.len() as u64);
            }
            to.write_all(&padding(size)).await?;
        }
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    for (path, text) in [("oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#), ("index.json", index.as_str())] {
        to.write_all(&header(path, text.len() as u64)?).await?;
        to.write_all(text.as_bytes()).await?;
        to.write_all(&padding(text.len() as u64)).await?;
    }
    // Two empty blocks end an archive.
    to.write_all(&[0; 2 * BLOCK as usize]).await?;
    to.shutdown().await
}

fn header(path: &str, size: u64) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

fn padding(size: u64) -> Vec<u8> {
    vec![0; usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use cri::import::ImageBuilder;

    use super::*;

    #[test]
    fn a_line_of_the_list_is_read() {
        let line = "reg:5000/app:1 application/vnd.oci.image.manifest.v1+json sha256:ab 2.1 MiB linux/amd64 \
                    io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned";
        let image = named_image(line).unwrap();
        assert_eq!((image.name.as_str(), image.digest.as_str()), ("reg:5000/app:1", "sha256:ab"));
        assert_eq!(image.labels["io.cri-containerd.pinned"], "pinned");
        assert!(named_image("a b c 1 B linux/amd64 -").unwrap().labels.is_empty());
        assert_eq!(named_image(""), None);
    }

    #[tokio::test]
    async fn the_archive_is_one_that_is_read_back() {
        let names = ["app:1", "app:2"].map(|name| name.parse().unwrap()).to_vec();
        let source = Arc::new(ImageBuilder::new().file("/x", 0o644, vec![7; 3 << 20]).build(names));
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        let progress: Bytes = Arc::new(move |bytes| {
            counted.fetch_add(bytes, Ordering::Relaxed);
        });
        let mut archive = Vec::new();
        write_archive(&mut archive, &source, &progress).await.unwrap();
        let read = ImageSource::from_reader(archive.as_slice(), None).unwrap();
        let (before, after) = (&source.images()[0], &read.images()[0]);
        assert_eq!((&before.names, &before.target.digest), (&after.names, &after.target.digest));
        let total: u64 = source.blobs_of(before).map(|(_, size)| size).sum();
        assert_eq!(count.load(Ordering::Relaxed), total);
    }

    #[tokio::test]
    async fn of_several_images_the_named_one_is_taken() {
        let build =
            |name: &str| ImageBuilder::new().file(name, 0o644, "x").build(vec![format!("{name}:1").parse().unwrap()]);
        let mut source = build("one");
        source.extend(build("two"));
        let mut archive = Vec::new();
        let nobody: Bytes = Arc::new(|_| ());
        write_archive(&mut archive, &Arc::new(source), &nobody).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("two.tar");
        std::fs::write(&file, archive).unwrap();
        let here = cri::import::Platform::here();
        let read = |name: &str, platform| crate::seed::image_in(&file, &name.parse().unwrap(), platform, true);
        let two = read("two:1", &here).unwrap();
        let names: Vec<String> = two.images()[0].names.iter().map(ToString::to_string).collect();
        let digest = &two.images()[0].target.digest;
        assert_eq!(names, ["docker.io/library/two:1".to_owned(), format!("docker.io/library/two@{digest}")]);
        let none = read("three:1", &here).unwrap_err();
        assert!(none.contains("docker.io/library/one:1, docker.io/library/two:1"), "{none}");
        let other = read("two:1", &cri::import::Platform::linux("s390x")).unwrap_err();
        assert!(other.contains("and the node is linux/s390x"), "{other}");
    }
}
