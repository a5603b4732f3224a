//! Pasted text, split into evidence by what it looks like.
//!
//! A paste is what people have at hand: commands with their prompts and outputs, a file under its name, lines of a
//! journal, one error. Prompts and headings decide first; between them, lines that only one program writes do. What
//! nothing recognises stays as text. Every line of the paste is in exactly one item, except prompts and headings, which
//! become origins.

mod clean;
mod command;
mod form;

use crate::evidence::{Evidence, Item, ItemKind, Origin};

pub use clean::{NotText, cleaned, decoded, joined, thinned};
use command::Prompt;
use form::Form;

/// The items of a pasted text; none when there is nothing in it.
pub fn split(text: &str) -> Vec<Item> {
    // A bundle is a bundle, however it comes.
    if text.trim_start().starts_with('{')
        && let Ok(bundle) = Evidence::from_json(text)
    {
        return bundle.items().to_vec();
    }
    let mut parts = Vec::new();
    let mut open: Option<(Prompt, String)> = None;
    let mut loose = String::new();
    for line in text.split_inclusive('\n') {
        let words = line.trim_end();
        // Inside an output, only the headings of `head` and `tail` are believed: `systemctl cat` has others.
        let heading = || command::heading(words).filter(|_| open.is_none() || words.starts_with("==>"));
        if let Some(prompt) = command::prompt(words).or_else(heading) {
            close(&mut parts, open.take(), &mut loose);
            open = Some((prompt, String::new()));
        } else if let Some((_, output)) = &mut open {
            output.push_str(line);
        } else {
            loose.push_str(line);
        }
    }
    close(&mut parts, open, &mut loose);
    parts
}

/// Ends what was open: a command with its output, or lines without a prompt.
fn close(parts: &mut Vec<Item>, open: Option<(Prompt, String)>, loose: &mut String) {
    let loose = std::mem::take(loose);
    parts.extend(forms(&loose));
    let Some((prompt, output)) = open else { return };
    if output.trim().is_empty() {
        // A command that said nothing said something: `findmnt` of what is not mounted.
        if !prompt.is_file {
            parts.push(Item { kind: ItemKind::NodeFacts, origin: prompt.origin(), text: String::new() });
        }
        return;
    }
    let kind = prompt.kind(&output);
    parts.push(Item { kind, origin: prompt.origin(), text: output });
}

/// Lines without a prompt, cut where another program begins to speak.
fn forms(text: &str) -> Vec<Item> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    if let Some(form) = form::whole(text) {
        return vec![item(&form, text)];
    }
    let mut items = Vec::new();
    let mut current: Option<Form> = None;
    let mut lines = String::new();
    for line in text.split_inclusive('\n') {
        let found = form::of_line(line.trim_end(), current.as_ref());
        if let Some(found) = found
            && (current.as_ref() != Some(&found) || form::begins_anew(line, &lines))
        {
            if !lines.trim().is_empty() {
                items.push(item(current.as_ref().unwrap_or(&Form::text()), &lines));
            }
            lines.clear();
            current = Some(found);
        }
        lines.push_str(line);
    }
    if !lines.trim().is_empty() {
        items.push(item(current.as_ref().unwrap_or(&Form::text()), &lines));
    }
    items
}

fn item(form: &Form, text: &str) -> Item {
    let kind = form::settled(form.kind, text);
    Item { kind, origin: Origin(form::origin(kind, form, text)), text: text.to_owned() }
}

#[cfg(test)]
mod tests;
