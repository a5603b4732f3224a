//! Puts an image into many nodes at once, verifies it on each, and writes each step into the receipt first.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cri::NamedImage;
use cri::import::{Digest, ImageName, ImageSource, ImportError, Platform, SourceImage, Version};
use futures::stream::StreamExt as _;

use super::receipt::{Before, Claim, Held, NodeSeed, NodeState};
use super::retry::{ATTEMPTS, wait_after};
use super::stock::{self, Stock, StockError};
use super::{PINNED, RECEIPT, Target};

/// Nodes that are served at a time: this machine's line to them is one.
const AT_A_TIME: usize = 16;

/// Told the node and what happens on it.
pub type Watch = Arc<dyn Fn(&str, StageEvent) + Send + Sync>;

/// What is to be staged.
pub struct Stage<'a> {
    /// The image as it will be called on the nodes.
    pub name: &'a ImageName,
    /// The image for each platform that a node has, or why there is none.
    pub sources: &'a BTreeMap<Platform, Result<Arc<ImageSource>, String>>,
    /// The receipt.
    pub held: &'a Mutex<Held>,
    /// Now, RFC 3339.
    pub now: &'a (dyn Fn() -> String + Send + Sync),
    /// Told what happens.
    pub watch: Watch,
}

/// What happens on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageEvent {
    /// It begins; so many bytes there are.
    Begins(u64),
    /// So many more are there.
    Came(u64),
    /// It failed in passing, for this reason, and is tried again.
    Again(String),
    /// It is being verified.
    Verifying,
    /// It ended.
    Ended,
}

/// How it ended on a node.
#[derive(Debug)]
pub struct Outcome {
    /// The node.
    pub node: String,
    /// What was done, or why not.
    pub result: Result<Done, StockError>,
}

/// What was done on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The digest that the name points at there.
    pub digest: Digest,
    /// The manifest for the node's platform.
    pub manifest: Digest,
    /// Whether the same image was there before.
    pub was_there: bool,
    /// By which way it went in.
    pub way: &'static str,
    /// Whether this containerd keeps the kubelet from removing pinned images (from 1.7 on).
    pub pins: bool,
    /// containerd's version.
    pub version: String,
}

/// Stages into every target; what one node lacks does not stop the others.
pub async fn stage(targets: &[Target], what: &Stage<'_>) -> Vec<Outcome> {
    let each = targets.iter().map(|target| async move {
        let result = patiently(target, what).await;
        (what.watch)(target.node(), StageEvent::Ended);
        Outcome { node: target.node().to_owned(), result }
    });
    let mut outcomes: Vec<Outcome> = futures::stream::iter(each).buffer_unordered(AT_A_TIME).collect().await;
    outcomes.sort_by(|a, b| a.node.cmp(&b.node));
    outcomes
}

async fn patiently(target: &Target, what: &Stage<'_>) -> Result<Done, StockError> {
    let mut attempt = 1;
    loop {
        match once(target, what).await {
            Err(error) if error.passing() && attempt < ATTEMPTS => {
                (what.watch)(target.node(), StageEvent::Again(error.to_string()));
                tokio::time::sleep(wait_after(attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn once(target: &Target, what: &Stage<'_>) -> Result<Done, StockError> {
    let source = match what.sources.get(&target.platform) {
        Some(Ok(source)) => source,
        Some(Err(why)) => return Err(StockError::Unfit(why.clone())),
        None => return Err(StockError::Unfit(format!("there is no image for {}", target.platform))),
    };
    let image = source.images().first().ok_or_else(|| StockError::Unfit("the archive has no such image".to_owned()))?;
    let stock = stock::open(target).await?;
    let version = stock.version().await?;
    let there = stock.names().await?;
    let was_there =
        there.iter().any(|named| named.name == what.name.to_string() && named.digest == image.target.digest.as_str());
    let id = begin(target, what, image, &there)?;
    let total = source.blobs_of(image).map(|(_, size)| size).sum();
    (what.watch)(target.node(), StageEvent::Begins(total));
    let (watch, node) = (what.watch.clone(), target.node().to_owned());
    let progress = Arc::new(move |bytes| watch(&node, StageEvent::Came(bytes)));
    let labels = [PINNED, (RECEIPT, id.as_str())].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    stock.load(source, &labels, progress).await?;
    (what.watch)(target.node(), StageEvent::Verifying);
    verify(&*stock, source, image).await?;
    finish(target, what)?;
    Ok(Done {
        digest: image.target.digest.clone(),
        manifest: image.manifest.clone(),
        was_there,
        way: stock.way(),
        pins: knows_pins(&version),
        version,
    })
}

/// Writes down what was there under the names, before anything is done. What an earlier run wrote stays: it is what was
/// there before any of them. Gives the receipt's id.
fn begin(target: &Target, what: &Stage<'_>, image: &SourceImage, there: &[NamedImage]) -> Result<String, StockError> {
    let mut held = what.held.lock().map_err(|_| StockError::Unfit("another node's staging broke off".to_owned()))?;
    let id = held.receipt().id.clone();
    let earlier = held.node(target.node()).cloned();
    // The id is last: it is by what CRI finds the image while the other names go.
    let names = image.names.iter().map(ToString::to_string).chain([image.config.to_string()]);
    let claim = |name: String| {
        let known = earlier.iter().flat_map(|seed| &seed.names).find(|claim| claim.name == name);
        known.cloned().unwrap_or_else(|| Claim { before: before(there, &name), name })
    };
    let mut claims: Vec<Claim> = names.map(claim).collect();
    // An earlier image of a tag that has moved since: its names are still to be taken out some day.
    let old =
        earlier.iter().flat_map(|seed| &seed.names).filter(|old| claims.iter().all(|claim| claim.name != old.name));
    let old: Vec<Claim> = old.cloned().collect();
    claims.extend(old);
    held.set_node(NodeSeed {
        node: target.node().to_owned(),
        state: NodeState::Begun,
        at: (what.now)(),
        digest: image.target.digest.to_string(),
        names: claims,
    })?;
    Ok(id)
}

fn before(there: &[NamedImage], name: &str) -> Option<Before> {
    let named = there.iter().find(|named| named.name == name)?;
    Some(Before {
        digest: named.digest.clone(),
        media_type: named.media_type.clone(),
        size: named.size,
        pinned: named.labels.get(PINNED.0).is_some_and(|value| value == PINNED.1),
    })
}

async fn verify(stock: &dyn Stock, source: &ImageSource, image: &SourceImage) -> Result<(), StockError> {
    let there = stock.names().await?;
    for name in &image.names {
        let name = name.to_string();
        let found = there.iter().find(|named| named.name == name).map(|named| named.digest.as_str());
        if found != Some(image.target.digest.as_str()) {
            let found = found.unwrap_or("nothing");
            return Err(StockError::NotVerified(format!("{name} points at {found}, not at {}", image.target.digest)));
        }
    }
    match stock.damage(source, image).await? {
        Some(damage) => Err(StockError::NotVerified(damage)),
        None => Ok(()),
    }
}

fn finish(target: &Target, what: &Stage<'_>) -> Result<(), StockError> {
    let mut held = what.held.lock().map_err(|_| StockError::Unfit("another node's staging broke off".to_owned()))?;
    if let Some(mut seed) = held.node(target.node()).cloned() {
        seed.state = NodeState::Staged;
        seed.at = (what.now)();
        held.set_node(seed)?;
    }
    Ok(())
}

/// containerd reports pins to the kubelet from 1.7 on.
fn knows_pins(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '~', '-', '+']);
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    (number(), number()) >= (1, 7)
}

/// The image of a layout or archive for one platform, under its name and, where it came from a registry, also under its
/// digest, as a pull would have named it. Blocks.
///
/// # Errors
/// In words: when the archive can't be read, does not have that image, or has it for another platform only.
pub fn image_in(
    path: &Path,
    name: &ImageName,
    platform: &Platform,
    from_registry: bool,
) -> Result<ImageSource, String> {
    let told = |error: ImportError| chain(&error);
    let source = match ImageSource::open_for(path, None, platform) {
        Err(ImportError::Unnamed { .. }) => ImageSource::open_for(path, Some(name), platform).map_err(told)?,
        source => source.map_err(told)?,
    };
    let source = match source.images() {
        // Whoever gives a name to the only image means that one.
        [_] => source,
        images => {
            let names: Vec<String> = images.iter().flat_map(|image| &image.names).map(ToString::to_string).collect();
            let source = source.only(|image| image.names.contains(name));
            if source.images().is_empty() {
                return Err(format!("the archive has no image {name}; it has {}", names.join(", ")));
            }
            source
        }
    };
    if let Some(image) = source.images().first()
        && image.platform != *platform
    {
        return Err(format!("the image is for {}, and the node is {platform}", image.platform));
    }
    Ok(source.renamed(|image| {
        let mut names = vec![name.clone()];
        let digest = Version::Digest(image.target.digest.to_string());
        if from_registry && name.version != digest {
            names.push(ImageName { version: digest, ..name.clone() });
        }
        names
    }))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_known_from_1_7_on() {
        for (version, known) in
            [("1.6.20~ds1", false), ("v1.7.0", true), ("2.1.3-k3s1", true), ("v2.0.0-rc.1", true), ("", false)]
        {
            assert_eq!(knows_pins(version), known, "{version}");
        }
    }
}
