//! What changed in an export, as a commit's message. Pure.

use crate::export::INDEX;

/// Objects that a message names, at most.
const NAMED: usize = 100;

/// Files that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    changed: Vec<String>,
    added: Vec<String>,
    removed: Vec<String>,
    /// Whether `_export.json` changed.
    index: bool,
}

impl Changes {
    /// Reads git's list: a letter and a path by turns, each ended by a zero.
    pub(super) fn read(list: &[u8]) -> Self {
        let mut changes = Self::default();
        let mut words = list.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        while let (Some(letter), Some(path)) = (words.next(), words.next()) {
            let Some(object) = path.strip_suffix(".yaml") else {
                changes.index |= path == INDEX;
                continue;
            };
            match letter.as_ref() {
                "A" => changes.added.push(object.to_owned()),
                "D" => changes.removed.push(object.to_owned()),
                _ => changes.changed.push(object.to_owned()),
            }
        }
        changes
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// In one line.
    pub fn summary(&self) -> String {
        let counts = [(self.changed.len(), "changed"), (self.added.len(), "added"), (self.removed.len(), "removed")];
        let told: Vec<String> = counts.iter().filter(|one| one.0 > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if told.is_empty() { format!("only {INDEX} changed") } else { told.join(", ") }
    }

    /// The message.
    pub(super) fn message(&self, context: &str) -> String {
        let context: String = context.chars().filter(|letter| !letter.is_control()).collect();
        let all = [('~', &self.changed), ('+', &self.added), ('-', &self.removed)];
        let lines = all.iter().flat_map(|(sign, names)| names.iter().map(move |name| format!("{sign} {name}\n")));
        let total = self.changed.len() + self.added.len() + self.removed.len();
        let mut text = format!("export {context}: {}\n", self.summary());
        if total > 0 {
            text.push('\n');
            text.extend(lines.take(NAMED));
        }
        if total > NAMED {
            text.push_str(&format!("… and {} more\n", total - NAMED));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_changed() {
        let list =
            b"M\0_export.json\0M\0shop/deployment/web.yaml\0A\0shop/configmap/a.yaml\0D\0shop/configmap/b.yaml\0";
        let expected = "export prod: 1 changed, 1 added, 1 removed\n\n~ shop/deployment/web\n+ shop/configmap/a\n\
                        - shop/configmap/b\n";
        assert_eq!(Changes::read(list).message("prod"), expected);
        assert_eq!(Changes::read(b"M\0_export.json\0").message("a\nb"), "export ab: only _export.json changed\n");
        assert!(Changes::read(b"").is_empty());
    }

    #[test]
    fn a_message_has_an_end() {
        let list: String = (0..500).map(|number| format!("A\0shop/configmap/{number}.yaml\0")).collect();
        let message = Changes::read(list.as_bytes()).message("prod");
        assert!(message.starts_with("export prod: 500 added\n") && message.ends_with("… and 400 more\n"), "{message}");
    }
}
