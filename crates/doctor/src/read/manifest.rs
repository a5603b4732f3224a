//! Manifests: YAML documents in which every node knows its bytes.

mod tree;

use std::ops::Range;

use serde_json::Value;

use crate::evidence::Item;

pub use tree::{Node, Shape};

/// A file of manifests.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Number of its item.
    pub item: usize,
    /// Its name.
    pub file: String,
    /// Its objects; those of a List one by one.
    pub documents: Vec<Document>,
    /// Documents that are no YAML.
    pub refused: Vec<Refused>,
}

/// One object of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its root: a mapping, for every real object.
    pub root: Node,
    /// The same as JSON.
    pub value: Value,
    /// The chart's file that it was rendered from, as Helm writes it above; empty otherwise.
    pub source: String,
}

/// A document that is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reader's words.
    pub message: String,
    /// The bytes that are wrong.
    pub span: Range<usize>,
}

impl Document {
    /// Text of a field at the top, such as `kind`.
    pub fn top(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap_or_default()
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// `metadata.namespace`; empty without one.
    pub fn namespace(&self) -> &str {
        self.value["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    /// Group and version of its `apiVersion`; the group is empty for core.
    pub fn group_version(&self) -> (&str, &str) {
        let text = self.top("apiVersion");
        text.split_once('/').unwrap_or(("", text))
    }
}

impl Manifest {
    pub(crate) fn read(number: usize, item: &Item) -> Self {
        let (roots, refused) = tree::read(&item.text);
        let mut documents = Vec::new();
        for root in roots {
            let source = source_of(&item.text, root.span.start);
            split(root, &source, &mut documents);
        }
        let file = item.origin.path().unwrap_or(item.origin.source()).to_owned();
        Self { item: number, file, documents, refused }
    }
}

/// Takes a List apart.
fn split(root: Node, source: &str, documents: &mut Vec<Document>) {
    let is_list = root.get("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List"));
    match root.get("items") {
        Some(Node { shape: Shape::List { items, .. }, .. }) if is_list => {
            for item in items {
                split(item.clone(), source, documents);
            }
        }
        _ => documents.push(Document { value: root.value(), root, source: source.to_owned() }),
    }
}

/// The `# Source: …` line right above a document.
fn source_of(text: &str, start: usize) -> String {
    let above = text.get(..start).unwrap_or_default();
    let lines = above.lines().rev().take_while(|line| line.starts_with('#') || line.trim().is_empty());
    lines.filter_map(|line| line.strip_prefix("# Source: ")).map(str::trim).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{ItemKind, Origin};
    use crate::text::Position;

    fn manifest(text: &str) -> Manifest {
        let origin = Origin("all.yaml".to_owned());
        Manifest::read(0, &Item { kind: ItemKind::Manifest, origin, text: text.to_owned() })
    }

    #[test]
    fn documents_lists_and_sources() {
        let text = "---\n# Source: web/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {\"a/b\": x}}\n---\napiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  apiVersion: v1\n  metadata:\n    name: b\n    list: [1, {x: yes}]\n";
        let read = manifest(text);
        let seen: Vec<_> =
            read.documents.iter().map(|one| (one.top("kind"), one.name(), one.source.as_str())).collect();
        assert_eq!(seen, [("ConfigMap", "a", "web/templates/a.yaml"), ("Secret", "b", "")]);
        let root = &read.documents[1].root;
        let (key, value) = root.find("metadata.list[1].x").unwrap();
        assert_eq!((&text[key.unwrap().span.clone()], &text[value.span.clone()]), ("x", "yes"));
        assert_eq!(read.documents[1].value["metadata"]["list"][1]["x"], true);
        let (key, _) = read.documents[0].root.find("metadata.labels[a/b]").unwrap();
        assert_eq!(&text[key.unwrap().span.clone()], "\"a/b\"");
    }

    #[test]
    fn what_is_no_yaml_is_told_and_the_rest_read() {
        let text = "kind: A\ndata:\n  text: Note: Sunday\n---\nkind: B\n";
        let read = manifest(text);
        assert_eq!(read.documents.len(), 1, "{:?}", read.refused);
        assert_eq!(Position::of(text, read.refused[0].span.start), Position { line: 3, column: 13 });
        let tab = "kind: A\nmetadata:\n\tname: a\n";
        assert_eq!(Position::of(tab, manifest(tab).refused[0].span.start), Position { line: 3, column: 1 });
        for broken in
            ["a: [1, 2\nb: 1\n", "a: \"x\nb: 1\n", "a:\n  - b\n c: d\n", "- a\nb: c\n", "{{ x }}: 1\n", "a: {{ .V }}\n"]
        {
            println!("{broken:?} {:?}", manifest(broken).refused);
        }
    }

    #[test]
    fn anchors_and_merges() {
        let text = "base: &b {a: 1, c: 2}\nuse: *b\nmore:\n  <<: *b\n  c: 3\n";
        let read = manifest(text);
        assert_eq!(read.documents[0].value["use"]["a"], 1);
        assert_eq!(read.documents[0].value["more"], serde_json::json!({"a": 1, "c": 3}));
    }
}
