//! `IntOrString` amounts: a number, or a percentage of a total.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Which way a part of a pod is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// To more pods.
    Up,
    /// To fewer pods.
    Down,
}

/// `amount` of `total`; `default` when it is absent or no percentage.
pub fn of_total(amount: Option<&IntOrString>, default: i32, total: i32, round: Round) -> i32 {
    match amount {
        None => default,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => {
            let percent = text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok());
            percent.map_or(default, |percent| part(percent, total, round))
        }
    }
}

fn part(percent: i64, total: i32, round: Round) -> i32 {
    let hundredths = percent * i64::from(total);
    let up = i64::from(round == Round::Up && hundredths % 100 != 0);
    i32::try_from(hundredths / 100 + up).unwrap_or(i32::MAX)
}

/// `maxSurge` and `maxUnavailable` of a rolling update over `total` pods. Both may not be zero, because nothing
/// could move then: one pod may be unavailable in that case.
pub fn surge_and_unavailable(surge: Option<&IntOrString>, unavailable: Option<&IntOrString>, total: i32) -> (i32, i32) {
    let surge = of_total(surge, 0, total, Round::Up);
    let unavailable = of_total(unavailable, 0, total, Round::Down);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surge_rounds_up_and_unavailable_down() {
        let percent = |text: &str| IntOrString::String(text.to_owned());
        let quarter = percent("25%");
        assert_eq!(surge_and_unavailable(Some(&quarter), Some(&quarter), 10), (3, 2));
        assert_eq!(surge_and_unavailable(Some(&quarter), Some(&quarter), 1), (1, 0));
        assert_eq!(surge_and_unavailable(Some(&IntOrString::Int(0)), Some(&quarter), 1), (0, 1));
        assert_eq!(of_total(Some(&percent("100%")), 0, 7, Round::Up), 7);
        assert_eq!(of_total(Some(&percent("x")), 1, 7, Round::Up), 1);
    }
}
