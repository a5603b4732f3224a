//! Words that look alike: what somebody may have meant.

/// How many characters must be put in, taken out or changed, or swapped with their neighbour, to make one word of the
/// other; the case of letters does not count.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.to_lowercase().chars().collect();
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, left) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, right) in other.iter().enumerate() {
            let changed = last[column] + usize::from(left != right);
            let mut least = changed.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && one[row - 1] == *right && other[column - 1] == *left {
                least = least.min(before_last[column - 1] + 1);
            }
            next.push(least);
        }
        before_last = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

/// The known word that is nearest to this one, if it is near enough to be meant by it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > 64 {
        return None;
    }
    let most = match length {
        0..=2 => 0,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    let near = known.into_iter().map(|known| (distance(word, known), known));
    near.filter(|(distance, known)| *distance <= most && *known != word).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_of_the_pen_are_near() {
        let known = ["containers", "volumes", "replicas", "image", "imagePullPolicy"];
        assert_eq!(nearest("contianers", known), Some("containers"));
        assert_eq!(nearest("Replicas", known), Some("replicas"));
        assert_eq!(nearest("replica", known), Some("replicas"));
        assert_eq!(nearest("imagePullpolicy", known), Some("imagePullPolicy"));
        assert_eq!(nearest("image", known), None);
        assert_eq!(nearest("command", known), None);
    }
}
