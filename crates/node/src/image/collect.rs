//! Removes images that nothing uses when the disk gets full.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cri::v1::{ContainerFilter, Image};
use jiff::{SignedDuration, Timestamp};
use nix::sys::statvfs::statvfs;
use tracing::{info, warn};

use crate::event::{About, Level};
use crate::node::Node;

/// Kubernetes' own rhythm.
const LOOK: Duration = Duration::from_secs(5 * 60);
/// Images are removed when less than this is free …
///
/// Kubernetes counts in percent of the disk, which is a node's own there. Ours is the user's, with everything else on it:
/// how full that is says nothing, only whether there is room.
const ROOM: u64 = 2 << 30;
/// … until this much is.
const AMPLE: u64 = 3 << 30;
/// An image that came so recently may be about to be used.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);

/// Collects for ever.
pub(crate) async fn run(node: Arc<Node>) {
    let mut seen = HashMap::new();
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        if let Err(err) = collect(&node, &mut seen).await {
            warn!(error = %err, "images not collected");
        }
    }
}

/// One round; `seen` is when each image was first seen or last used.
async fn collect(node: &Node, seen: &mut HashMap<String, Timestamp>) -> Result<(), cri::Error> {
    let runtime = &node.runtime;
    let now = Timestamp::now();
    let images = runtime.list_images().await?;
    let containers = runtime.list_containers(ContainerFilter::default()).await?;
    let used: BTreeSet<_> =
        containers.into_iter().flat_map(|container| [container.image_id, container.image_ref]).collect();
    let in_use = |image: &Image| used.contains(&image.id) || image.repo_digests.iter().any(|name| used.contains(name));
    seen.retain(|id, _| images.iter().any(|image| image.id == *id));
    for image in &images {
        let at = seen.entry(image.id.clone()).or_insert(now);
        if in_use(image) {
            *at = now;
        }
    }
    let Some(excess) = excess(runtime).await? else { return Ok(()) };
    let pause = runtime.image_status(&node.config.pause_image).await?.map(|image| image.id);
    let free: Vec<_> = images.iter().filter(|image| !image.pinned && Some(&image.id) != pause.as_ref()).collect();
    let chosen = choose(&free, seen, now, excess);
    for image in &chosen {
        info!(image = image.repo_tags.first().unwrap_or(&image.id), "removing an unused image: the disk is full");
        runtime.remove_image(&image.id).await?;
    }
    let freed: u64 = chosen.iter().map(|image| image.size).sum();
    if freed < excess {
        let message = format!(
            "Failed to garbage collect required amount of images. Attempted to free {excess} bytes, but only found \
             {freed} bytes eligible to free."
        );
        node.events.record(&About::node(&node.config.node_name), Level::Warning, "FreeDiskSpaceFailed", &message);
    }
    Ok(())
}

/// How many bytes must go, if the disk that holds the images is too full.
async fn excess(runtime: &cri::Runtime) -> Result<Option<u64>, cri::Error> {
    let info = runtime.image_fs_info().await?;
    let place = info.image_filesystems.into_iter().find_map(|place| place.fs_id);
    let stat = place.and_then(|place| statvfs(Path::new(&place.mountpoint)).ok());
    Ok(stat.and_then(|stat| missing_room(stat.blocks_available() * stat.fragment_size())))
}

fn missing_room(available: u64) -> Option<u64> {
    (available < ROOM).then(|| AMPLE - available)
}

/// The images to remove, the longest unused first, until enough is free.
fn choose<'a>(images: &[&'a Image], seen: &HashMap<String, Timestamp>, now: Timestamp, excess: u64) -> Vec<&'a Image> {
    let since = |image: &Image| seen.get(&image.id).copied().unwrap_or(now);
    let mut unused: Vec<_> = images.iter().filter(|image| now.duration_since(since(image)) >= YOUNG).collect();
    unused.sort_by_key(|image| since(image));
    let mut freed = 0;
    let mut chosen = Vec::new();
    for image in unused {
        if freed >= excess {
            break;
        }
        freed += image.size;
        chosen.push(*image);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_go_first() {
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        let image = |id: &str| Image { id: id.to_owned(), size: 10, ..Image::default() };
        let images = [image("used"), image("old"), image("older"), image("young")];
        let images: Vec<_> = images.iter().collect();
        let seen = [("used", 60), ("old", 20), ("older", 10), ("young", 59)];
        let seen = seen.map(|(id, minutes)| (id.to_owned(), at(minutes))).into();
        let chosen = |excess| -> Vec<_> {
            choose(&images, &seen, at(60), excess).iter().map(|image| image.id.as_str()).collect()
        };
        assert_eq!(chosen(0), Vec::<&str>::new());
        assert_eq!(chosen(10), ["older"]);
        assert_eq!(chosen(1000), ["older", "old"]);
    }

    #[test]
    fn thresholds() {
        assert_eq!(missing_room(ROOM), None);
        assert_eq!(missing_room(ROOM - 1), Some(AMPLE - ROOM + 1));
        assert_eq!(missing_room(0), Some(AMPLE));
    }
}
