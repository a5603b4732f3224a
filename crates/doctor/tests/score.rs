//! The rules answer the labelled cases well enough.

#[path = "../examples/score/scoring.rs"]
mod scoring;

use scoring::{Share, score};

/// The floors, in percent: decidable cases, undecidable ones, places. Healthy cases have no room for alarms.
const FLOORS: [u64; 3] = [95, 90, 90];

#[test]
fn labelled_cases_are_answered_and_healthy_ones_are_left_alone() {
    let score = score(include_str!("cases-open.jsonl"), &[]).unwrap();
    let told = format!("{}\nplaces {}\n{}", score.wrong.join("\n"), score.places, score.line());
    let reaches = |share: Share, floor: u64| share.given as u64 * 100 >= share.of as u64 * floor;
    let shares = [score.decidable, score.undecidable, score.places];
    assert!(shares.iter().zip(FLOORS).all(|(share, floor)| share.of > 0 && reaches(*share, floor)), "{told}");
    assert_eq!(score.alarms.given, 0, "{told}");
}
