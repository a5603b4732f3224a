//! Takes out of a node exactly what a receipt says was put in.
//!
//! A name that nobody had goes; one that pointed elsewhere points there again, if that is still there; one that pointed at
//! the same image only loses our labels. Blobs are containerd's garbage collector's: it takes those that nobody refers to.

use std::collections::BTreeMap;

use cri::{ImageUser, NamedImage};

use super::receipt::{Claim, NodeSeed};
use super::stock::{self, Stock, StockError};
use super::{PINNED, RECEIPT, Target};

const WAS_THERE: &str = "it was there before";

/// What became of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is as it was before.
    Done {
        /// Names that were taken away.
        removed: Vec<String>,
        /// Names that point again at what they pointed at before.
        restored: Vec<String>,
        /// Names that were left, each with the reason.
        left: Vec<(String, String)>,
    },
    /// Containers use it: nothing was done.
    InUse {
        /// Which ones, as `namespace/pod (container)`.
        by: Vec<String>,
    },
}

/// Takes out what a receipt with this id says about a node.
///
/// # Errors
/// When the node can't be asked, or containerd does not do it; the same call may be made again.
pub async fn unstage(target: &Target, id: &str, seed: &NodeSeed) -> Result<Removal, StockError> {
    let stock = stock::open(target).await?;
    let there = stock.names().await?;
    // A name that was there before stays, and keeps the image for its containers.
    let going: Vec<&str> =
        seed.names.iter().filter(|claim| claim.before.is_none()).map(|claim| claim.name.as_str()).collect();
    let users = stock.users().await?;
    let by: Vec<String> = users.iter().filter(|user| going.contains(&user.image.as_str())).map(user_name).collect();
    if !by.is_empty() {
        return Ok(Removal::InUse { by });
    }
    let (mut removed, mut restored, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for claim in &seed.names {
        let Some(named) = there.iter().find(|named| named.name == claim.name) else { continue };
        if named.labels.get(RECEIPT).map(String::as_str) != Some(id) {
            let was_there = claim.before.as_ref().is_some_and(|before| before.digest == named.digest);
            let why = if was_there { WAS_THERE } else { "somebody else put it there since" };
            left.push((claim.name.clone(), why.to_owned()));
            continue;
        }
        match one(&*stock, named, claim).await? {
            Did::Removed => removed.push(claim.name.clone()),
            Did::Restored => restored.push(claim.name.clone()),
            Did::Unlabelled => left.push((claim.name.clone(), WAS_THERE.to_owned())),
        }
    }
    Ok(Removal::Done { removed, restored, left })
}

enum Did {
    Removed,
    Restored,
    Unlabelled,
}

async fn one(stock: &dyn Stock, named: &NamedImage, claim: &Claim) -> Result<Did, StockError> {
    let Some(before) = &claim.before else {
        stock.remove(&claim.name).await?;
        return Ok(Did::Removed);
    };
    let mut did = Did::Unlabelled;
    if before.digest != named.digest {
        if !stock.has(&before.digest).await? {
            // What it was is gone: the node itself has collected it since.
            stock.remove(&claim.name).await?;
            return Ok(Did::Removed);
        }
        stock
            .repoint(&NamedImage {
                digest: before.digest.clone(),
                media_type: before.media_type.clone(),
                size: before.size,
                ..named.clone()
            })
            .await?;
        did = Did::Restored;
    }
    let mut labels = BTreeMap::from([(RECEIPT.to_owned(), String::new())]);
    if !before.pinned {
        labels.insert(PINNED.0.to_owned(), String::new());
    }
    stock.label(&claim.name, &labels).await?;
    Ok(did)
}

fn user_name(user: &ImageUser) -> String {
    let label = |name: &str| user.labels.get(name).map(String::as_str);
    let pod = label("io.kubernetes.pod.namespace").zip(label("io.kubernetes.pod.name"));
    match (pod, label("io.kubernetes.container.name")) {
        (Some((namespace, pod)), Some(container)) => format!("{namespace}/{pod} ({container})"),
        (Some((namespace, pod)), None) => format!("{namespace}/{pod}"),
        _ => format!("container {}", user.container.chars().take(12).collect::<String>()),
    }
}

/// What a node has of what was staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// All names point where they were pointed.
    There {
        /// Whether the first of them is pinned.
        pinned: bool,
    },
    /// The first name points elsewhere.
    Moved {
        /// Where to.
        digest: String,
    },
    /// A name is not there.
    Gone,
}

/// Looks what a node has of what was staged.
///
/// # Errors
/// When the node can't be asked.
pub async fn presence(target: &Target, seed: &NodeSeed) -> Result<Presence, StockError> {
    let there = stock::open(target).await?.names().await?;
    let Some(claim) = seed.names.first() else { return Ok(Presence::Gone) };
    match there.iter().find(|named| named.name == claim.name) {
        None => Ok(Presence::Gone),
        Some(named) if named.digest != seed.digest => Ok(Presence::Moved { digest: named.digest.clone() }),
        Some(named) => {
            Ok(Presence::There { pinned: named.labels.get(PINNED.0).is_some_and(|value| value == PINNED.1) })
        }
    }
}
