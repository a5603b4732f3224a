//! A Deployment that is scaled, in the middle of a rollout or not.
//!
//! Several active sets grow and shrink in proportion to their sizes, so that scaling neither speeds a rollout up
//! nor undoes it.

use std::cmp::Reverse;

use super::revision::{DESIRED_REPLICAS, MAX_REPLICAS};
use super::sets::{Set, Sets};
use super::strategy::Strategy;
use crate::workload::meta::Meta;

/// Whether the Deployment's size changed since its active sets were resized last.
pub fn wanted(strategy: &Strategy, sets: &Sets<'_>) -> bool {
    sets.all()
        .filter(|set| set.replicas() > 0)
        .any(|set| remembered(set, DESIRED_REPLICAS).is_some_and(|replicas| replicas != strategy.replicas))
}

/// Resizes the sets to the Deployment's size without rolling further.
pub fn scale(strategy: &Strategy, sets: &mut Sets<'_>) {
    if let Some(only) = sets.only_active_mut() {
        only.resize(strategy.replicas);
        remember(strategy, only);
        return;
    }
    if saturated(strategy, sets.new.as_ref()) {
        sets.old.iter_mut().filter(|set| set.replicas() > 0).for_each(|set| set.resize(0));
        return;
    }
    if !strategy.recreate {
        in_proportion(strategy, sets);
    }
}

/// Whether the new set alone is the whole Deployment.
fn saturated(strategy: &Strategy, new: Option<&Set<'_>>) -> bool {
    new.is_some_and(|set| {
        set.replicas() == strategy.replicas
            && remembered(set, DESIRED_REPLICAS) == Some(strategy.replicas)
            && set.available() == strategy.replicas
    })
}

fn in_proportion(strategy: &Strategy, sets: &mut Sets<'_>) {
    let allowed = if strategy.replicas > 0 { strategy.most() } else { 0 };
    let total: i32 = sets.replicas();
    let to_add = allowed - total;
    let mut active: Vec<&mut Set<'_>> = sets.all_mut().filter(|set| set.replicas() > 0).collect();
    if to_add > 0 {
        active.sort_by_key(|set| (Reverse(set.replicas()), Reverse(set.wanted.created())));
    } else {
        active.sort_by_key(|set| (Reverse(set.replicas()), set.wanted.created()));
    }
    let mut added = 0;
    let mut sizes: Vec<i32> = Vec::with_capacity(active.len());
    for set in &active {
        let share = if to_add == 0 { 0 } else { share(strategy, set, total, to_add, added) };
        added += share;
        sizes.push(set.replicas() + share);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0); // What rounding left over.
    }
    for (set, size) in active.into_iter().zip(sizes) {
        set.resize(size);
        remember(strategy, set);
    }
}

/// A set's part of `to_add` pods, of which `added` are given away already.
fn share(strategy: &Strategy, set: &Set<'_>, total: i32, to_add: i32, added: i32) -> i32 {
    let left = to_add - added;
    let share = if strategy.replicas == 0 {
        -set.replicas()
    } else {
        let most_before = remembered(set, MAX_REPLICAS).filter(|most| *most > 0).unwrap_or(total).max(1);
        let size = f64::from(set.replicas()) * f64::from(strategy.most()) / f64::from(most_before);
        #[expect(clippy::cast_possible_truncation, reason = "a float is clamped to i32 by the cast")]
        let size = size.round() as i32;
        size - set.replicas()
    };
    if to_add > 0 { share.min(left).max(0) } else { share.max(left).min(0) }
}

fn remembered(set: &Set<'_>, annotation: &str) -> Option<i32> {
    set.wanted.annotation(annotation)?.parse().ok()
}

/// Records for which size of the Deployment the set was resized.
pub fn remember(strategy: &Strategy, set: &mut Set<'_>) {
    let annotations = set.wanted.metadata.annotations.get_or_insert_default();
    annotations.insert(DESIRED_REPLICAS.to_owned(), strategy.replicas.to_string());
    annotations.insert(MAX_REPLICAS.to_owned(), strategy.most().to_string());
}
