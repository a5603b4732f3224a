//! Changes to the text of a kubeconfig that leave every other byte alone.
//!
//! Each function makes one change and gives the new text. Invariant: the result
//! is parsed again, and everything that was not to be changed means what it
//! meant before; else the change is refused.

use serde_json::Value;

use super::tree::{Node, Shape, parse};

/// Adds an item to one of the root's lists, or replaces the one of that name.
pub(super) fn set_item(text: &str, list: &str, name: &str, item: &Value) -> Result<String, String> {
    let Some(root) = parse(text)? else {
        return insert_key(text, None, list, &format!("\n{}", block_item(item, 0, newline(text))));
    };
    let Some(node) = root.get(list) else {
        return match &root.shape {
            Shape::Map { flow: true, .. } => insert_key(text, Some(&root), list, &format!("[{item}]")),
            _ => insert_key(text, Some(&root), list, &format!("\n{}", block_item(item, root.column, newline(text)))),
        };
    };
    let changed = match &node.shape {
        Shape::List { flow: false, items } if !items.is_empty() => set_block_item(text, items, name, item)?,
        Shape::List { flow: true, items } if !items.is_empty() || is_flow(&root) => {
            match items.iter().find(|item| named(item, name)) {
                Some(old) => replace(text, old.start, old.end, &item.to_string()),
                None => {
                    let at = items.last().map_or(node.end - 1, |last| last.end);
                    let comma = if items.is_empty() { "" } else { ", " };
                    replace(text, at, at, &format!("{comma}{item}"))
                }
            }
        }
        _ if node.is_null() || matches!(node.shape, Shape::List { .. }) => {
            if is_flow(&root) {
                replace(text, node.start, node.end, &format!("[{item}]"))
            } else {
                fill_empty_list(text, &root, node, item)
            }
        }
        _ => return Err(format!("its {list} are not a list")),
    };
    Ok(changed)
}

/// Removes the item of that name from one of the root's lists.
pub(super) fn remove_item(text: &str, list: &str, name: &str) -> Result<String, String> {
    let Some(root) = parse(text)? else { return Ok(text.to_owned()) };
    let Some(node) = root.get(list) else { return Ok(text.to_owned()) };
    let Some(at) = node.items().iter().position(|item| named(item, name)) else { return Ok(text.to_owned()) };
    let items = node.items();
    let item = &items[at];
    if let Shape::List { flow: true, .. } = &node.shape {
        // With the comma before it, or with the one behind it if it is the first.
        let (start, end) = match (at.checked_sub(1).map(|before| &items[before]), items.get(at + 1)) {
            (Some(before), _) => (before.end, item.end),
            (None, Some(after)) => (item.start, after.start),
            (None, None) => (item.start, item.end),
        };
        return Ok(replace(text, start, end, ""));
    }
    let start = dash_line(text, items, at)?;
    let end = line_end(text, item.end);
    if items.len() > 1 {
        return Ok(replace(text, start, end, ""));
    }
    // The key keeps its line, comment and all; the empty list goes right behind its colon.
    let without = replace(text, start, end, "");
    let key = root_key(&root, list).ok_or("its keys cannot be told apart")?;
    let colon = text[key.end..].find(':').map(|offset| key.end + offset + 1).ok_or("it has a key without a colon")?;
    Ok(replace(&without, colon, colon, " []"))
}

/// Sets a scalar of the root.
pub(super) fn set_scalar(text: &str, key: &str, value: &str) -> Result<String, String> {
    let root = parse(text)?;
    let written = if root.as_ref().is_some_and(is_flow) { Value::from(value).to_string() } else { scalar(value) };
    let Some(node) = root.as_ref().and_then(|root| root.get(key)) else {
        return insert_key(text, root.as_ref(), key, &format!(" {written}"));
    };
    match &node.shape {
        // An empty value has no place of its own yet: it begins right behind the colon.
        Shape::Scalar { .. } if node.start == node.end => {
            Ok(replace(text, node.start, node.end, &format!(" {written}")))
        }
        Shape::Scalar { .. } => Ok(replace(text, node.start, node.end, &written)),
        _ => Err(format!("its {key} is not a string")),
    }
}

/// Whether an item of a list has this `name`.
pub(super) fn named(item: &Node, name: &str) -> bool {
    item.get("name").and_then(Node::text) == Some(name)
}

fn is_flow(root: &Node) -> bool {
    matches!(root.shape, Shape::Map { flow: true, .. })
}

fn root_key<'a>(root: &'a Node, name: &str) -> Option<&'a Node> {
    match &root.shape {
        Shape::Map { entries, .. } => entries.iter().map(|(key, _)| key).find(|key| key.text() == Some(name)),
        _ => None,
    }
}

fn set_block_item(text: &str, items: &[Node], name: &str, item: &Value) -> Result<String, String> {
    let line = newline(text);
    match items.iter().position(|item| named(item, name)) {
        Some(at) => {
            let start = dash_line(text, items, at)?;
            let written = block_item(item, indent_at(text, start), line);
            Ok(replace(text, start, line_end(text, items[at].end), &written))
        }
        None => {
            let first = dash_line(text, items, 0)?;
            let written = block_item(item, indent_at(text, first), line);
            let end = items.last().map_or(first, |last| line_end(text, last.end));
            Ok(insert_line(text, end, &written))
        }
    }
}

/// `clusters:`, `clusters: []` or `clusters: null`, in a block mapping.
fn fill_empty_list(text: &str, root: &Node, node: &Node, item: &Value) -> String {
    let line = newline(text);
    let end = line_end(text, node.end);
    // What follows on the line is a comment, which stays on it.
    let rest = &text[node.end..end];
    let before = text[..node.start].trim_end_matches(' ');
    let mut changed = format!("{before}{}", rest.trim_end_matches(['\r', '\n']));
    changed.push_str(line);
    changed.push_str(&block_item(item, root.column, line));
    changed.push_str(&text[end..]);
    changed
}

/// Adds a key with its value at the end of the root mapping.
fn insert_key(text: &str, root: Option<&Node>, key: &str, value: &str) -> Result<String, String> {
    let line = newline(text);
    let Some(root) = root else {
        let entry = format!("{key}:{}", value.replace("\r\n", "\n").replace('\n', line));
        return Ok(insert_line(text, text.len(), entry.trim_end_matches(['\r', '\n'])) + line);
    };
    match &root.shape {
        Shape::Map { flow: true, entries } => {
            let at = entries.last().map_or(root.end - 1, |(_, last)| last.end);
            let comma = if entries.is_empty() { "" } else { ", " };
            Ok(replace(text, at, at, &format!("{comma}\"{key}\": {}", value.trim_start())))
        }
        Shape::Map { flow: false, .. } => {
            let indent = " ".repeat(root.column);
            let value = value.trim_end_matches(['\r', '\n']);
            let value = match value.strip_prefix('\n') {
                Some(block) => format!("{line}{block}"),
                None => value.to_owned(),
            };
            Ok(insert_line(text, line_end(text, root.end), &format!("{indent}{key}:{value}{line}")))
        }
        _ => Err("it is not a mapping".to_owned()),
    }
}

/// Start of the line with the dash of an item.
fn dash_line(text: &str, items: &[Node], at: usize) -> Result<usize, String> {
    let floor = at.checked_sub(1).map_or(0, |before| items[before].end);
    let mut end = items[at].start;
    loop {
        let start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[start..].trim_start_matches(' ');
        if line.starts_with("- ") || line.starts_with("-\n") || line.starts_with("-\r") {
            return Ok(start);
        }
        if start <= floor {
            return Err("its lists are written in an unusual way".to_owned());
        }
        end = start - 1;
    }
}

fn indent_at(text: &str, line_start: usize) -> usize {
    text[line_start..].chars().take_while(|c| *c == ' ').count()
}

/// Behind the line break that ends the line of a position.
fn line_end(text: &str, at: usize) -> usize {
    if at > 0 && text[..at].ends_with('\n') {
        return at;
    }
    text[at..].find('\n').map_or(text.len(), |offset| at + offset + 1)
}

/// Inserts whole lines; adds the line break that the text before may lack.
fn insert_line(text: &str, at: usize, lines: &str) -> String {
    let before = &text[..at];
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { newline(text) };
    format!("{before}{gap}{lines}{}", &text[at..])
}

fn replace(text: &str, start: usize, end: usize, with: &str) -> String {
    format!("{}{with}{}", &text[..start], &text[end..])
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// An item of a block list, with its dash and its line breaks.
fn block_item(item: &Value, indent: usize, line: &str) -> String {
    let mut lines = Vec::new();
    block(item, &mut lines);
    let mut text = String::new();
    for (number, content) in lines.iter().enumerate() {
        let dash = if number == 0 { "- " } else { "  " };
        text.push_str(&format!("{:indent$}{dash}{content}{line}", ""));
    }
    text
}

/// The lines of a block mapping or list without indentation.
fn block(value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::Object(_) | Value::Array(_) => {
                        lines.push(format!("{key}:"));
                        let mut inner = Vec::new();
                        block(value, &mut inner);
                        let indent = if value.is_object() { "  " } else { "" };
                        lines.extend(inner.into_iter().map(|line| format!("{indent}{line}")));
                    }
                    _ => lines.push(format!("{key}: {}", scalar(value.as_str().unwrap_or_default()))),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = Vec::new();
                block(item, &mut inner);
                lines.extend(
                    inner
                        .into_iter()
                        .enumerate()
                        .map(|(number, line)| format!("{}{line}", if number == 0 { "- " } else { "  " })),
                );
            }
        }
        _ => {}
    }
}

/// A string, quoted when a YAML reader of any version could take it for something else.
fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "+/=._:-".contains(c);
    let word = text.to_ascii_lowercase();
    let keyword = matches!(word.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null");
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if plain && text.chars().all(safe) && !text.ends_with(':') && !keyword {
        return text.to_owned();
    }
    Value::from(text).to_string()
}
