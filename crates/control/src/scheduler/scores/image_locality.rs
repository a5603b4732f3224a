//! Nodes that have the pod's images; large images count more, images on many nodes too, so that one node with a
//! rare image does not draw all its pods.

use super::{MAX, NodeInfo, Score};
use crate::scheduler::filters::Cycle;

const MEGABYTE: i64 = 1024 * 1024;
/// Images below this size make no difference, in bytes.
const LEAST: i64 = 23 * MEGABYTE;
/// Images from this size on make all the difference, in bytes for each container.
const MOST: i64 = 1000 * MEGABYTE;

pub const SCORE: Score = Score { name: "ImageLocality", weight: 1, of };

fn of(cycle: &Cycle<'_>, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let spec = &cycle.pod.spec;
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let images: Vec<String> = containers.filter_map(|container| container.image.as_deref()).map(tagged).collect();
    let n_nodes = i64::try_from(cycle.cluster.nodes.len().max(1)).unwrap_or(i64::MAX);
    let n_with = |image: &String| {
        let n = cycle.cluster.nodes.values().filter(|node| node.images.contains_key(image)).count();
        i64::try_from(n).unwrap_or(i64::MAX)
    };
    let known: Vec<(&String, i64)> =
        images.iter().map(|image| (image, n_with(image))).filter(|(_, n)| *n > 0).collect();
    if known.is_empty() {
        return None;
    }
    let most = MOST * i64::try_from(images.len()).unwrap_or(1);
    let points = |node: &&NodeInfo| {
        let bytes = known.iter().map(|(image, n)| node.images.get(*image).copied().unwrap_or_default() / n_nodes * n);
        let bytes = bytes.sum::<i64>().clamp(LEAST, most);
        MAX * (bytes - LEAST) / (most - LEAST)
    };
    Some(nodes.iter().map(points).collect())
}

/// An image's name with its tag.
fn tagged(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains(':') || image.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}
