//! Explain pages: Markdown for people, whose examples are the rule's tests.
//!
//! A page has the sections *What is wrong*, *Why it matters*, *How Shipmate knows*, *How to mend it*, *Sources*, and
//! then *Examples*. An example is a heading `### fails` or `### passes` and fenced blocks, one for each item of
//! evidence; a block's info string is the item's kind and origin:
//!
//! ````text
//! ### fails
//! ```containerd-config node-1 /etc/containerd/config.toml
//! version = 2
//! ```
//! ````

use crate::evidence::{Evidence, Item, ItemKind, Origin};

/// Sections that every page has, in this order.
pub const SECTIONS: [&str; 5] =
    ["## What is wrong", "## Why it matters", "## How Shipmate knows", "## How to mend it", "## Sources"];

/// What an example shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The rule's finding is the first.
    Fault,
    /// Nothing is found that is an error or a warning.
    Health,
}

/// The page without its examples, for people.
pub fn prose(page: &str) -> &str {
    page.split("\n## Examples").next().unwrap_or(page).trim_end()
}

/// The examples of a page.
pub fn examples(page: &str) -> Vec<(Shows, Evidence)> {
    let mut examples: Vec<(Shows, Vec<Item>)> = Vec::new();
    let mut block: Option<(Item, &str)> = None;
    let section = page.split_once("\n## Examples").map_or("", |(_, rest)| rest);
    for line in section.lines() {
        let fence = line.len() - line.trim_start_matches('`').len();
        if let Some((item, opened)) = &mut block {
            if line == *opened {
                let (item, _) = block.take().expect("it was matched a line above");
                if let Some((_, items)) = examples.last_mut() {
                    items.push(item);
                }
            } else {
                item.text.push_str(line);
                item.text.push('\n');
            }
        } else if fence >= 3 {
            let (kind, origin) = line[fence..].split_once(' ').unwrap_or((&line[fence..], ""));
            let kind = serde_json::from_value(kind.into()).unwrap_or(ItemKind::Text);
            let item = Item { kind, origin: Origin(origin.to_owned()), text: String::new() };
            block = Some((item, &line[..fence]));
        } else if let Some(word) = line.strip_prefix("### ") {
            let shows = if word.starts_with("fails") { Shows::Fault } else { Shows::Health };
            examples.push((shows, Vec::new()));
        }
    }
    examples.into_iter().map(|(shows, items)| (shows, Evidence::new(items))).collect()
}
