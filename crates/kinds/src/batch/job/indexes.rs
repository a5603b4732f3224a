//! Sets of completion indexes, as a Job's status writes them: `0,2-4,7`.

use std::collections::BTreeSet;

/// Annotation and label of a pod with its completion index.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Annotation of a pod with how often its index failed before (KEP-3850).
pub const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// Completion indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(pub BTreeSet<i32>);

impl Indexes {
    /// Reads the text of a status; what is malformed or not below `end` is left out.
    pub fn parse(text: &str, end: i32) -> Self {
        let one = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<i32>().ok()?.max(0)..=last.parse::<i32>().ok()?.min(end - 1))
        };
        Self(text.split(',').filter_map(one).flatten().collect())
    }

    /// The text of a status.
    pub fn to_text(&self) -> String {
        let mut ranges: Vec<(i32, i32)> = Vec::new();
        for index in &self.0 {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *index => *last = *index,
                _ => ranges.push((*index, *index)),
            }
        }
        let text = |(first, last): (i32, i32)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        };
        ranges.into_iter().map(text).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_set_agree() {
        for text in ["", "0", "0,1", "0-2", "1,3-5,7"] {
            assert_eq!(Indexes::parse(text, 10).to_text(), text);
        }
        assert_eq!(Indexes::parse("0-99,x,-", 3).to_text(), "0-2");
    }
}
