//! Emptier domains of spread constraints that need not hold.

use super::{MAX, Score};

pub const SCORE: Score = Score {
    name: "PodTopologySpread",
    weight: 2,
    of: |cycle, nodes| {
        let soft = || cycle.pod.spread.iter().enumerate().filter(|(_, constraint)| !constraint.hard);
        soft().next()?;
        let fullness = |node: &&super::NodeInfo| {
            soft()
                .map(|(index, constraint)| {
                    let (n_pods, n_domains) = cycle.domains.count(index, constraint, node)?;
                    // The more domains a constraint has, the more one pod more in a domain matters.
                    let weight = f64::from(u32::try_from(n_domains).unwrap_or(u32::MAX).saturating_add(2)).ln();
                    let n_pods = i32::try_from(n_pods).unwrap_or(i32::MAX);
                    let skew = i32::try_from(constraint.max_skew - 1).unwrap_or(i32::MAX);
                    Some(f64::from(n_pods) * weight + f64::from(skew))
                })
                .sum::<Option<f64>>()
        };
        let fullness: Vec<Option<f64>> = nodes.iter().map(fullness).collect();
        let known = || fullness.iter().flatten().copied();
        let (least, most) = (known().fold(f64::INFINITY, f64::min), known().fold(0.0, f64::max));
        #[expect(clippy::cast_possible_truncation, reason = "the quotient is between 0 and 1")]
        let points = |one: f64| if most == 0.0 { MAX } else { (100.0 * (most + least - one) / most) as i64 };
        Some(fullness.into_iter().map(|one| one.map_or(0, points)).collect())
    },
};
