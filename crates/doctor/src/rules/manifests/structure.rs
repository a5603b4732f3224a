//! Manifests beside the schema of their kind: fields that nobody knows, values of the wrong shape, what is missing.

use api::schema::{Additional, CheckOptions, Format, Schema, Type};

use crate::near::nearest;
use crate::read::manifest::{Document, Node, Shape};

/// Problems of one document that are reported.
const MOST: usize = 50;

/// What is wrong at a place.
#[derive(Clone, Debug)]
pub(super) enum Wrong<'a> {
    /// The schema has no such field here.
    Unknown(Home<'a>),
    /// A mapping, list or scalar where another shape belongs.
    Shape {
        /// What the schema wants.
        wanted: &'static str,
    },
    /// A scalar of the wrong type or form; the words of the decoder.
    Scalar(String),
    /// A field that must be there is not.
    Missing,
}

/// Where an unknown field belongs.
#[derive(Clone, Debug)]
pub(super) enum Home<'a> {
    /// Into this mapping, which holds the one it stands in: path, the mapping, and the entry under which it stands.
    Outer(String, &'a Node, &'a Node),
    /// Into the value of a field beside it: that field's path, key and value.
    Beside(String, &'a Node, &'a Node),
    /// Deeper, below this path.
    Deeper(String),
    /// Here, with this name.
    Misspelt(String),
    /// Nobody knows.
    Nowhere,
}

impl Home<'_> {
    /// The path it should have stood at, where the level is wrong.
    pub(super) fn path(&self) -> Option<&str> {
        match self {
            Self::Outer(path, ..) | Self::Beside(path, ..) | Self::Deeper(path) => Some(path),
            Self::Misspelt(_) | Self::Nowhere => None,
        }
    }
}

/// A problem of a document.
#[derive(Clone, Debug)]
pub(super) struct Problem<'a> {
    /// What is wrong.
    pub(super) wrong: Wrong<'a>,
    /// Path of the field, such as `spec.template`.
    pub(super) path: String,
    /// The key, or where there is none the mapping or item itself.
    pub(super) key: &'a Node,
    /// The value.
    pub(super) value: &'a Node,
}

/// The schema of a document's kind.
pub(super) fn schema_of(document: &Document) -> Option<Schema<'static>> {
    let (group, version) = document.group_version();
    kinds::schema::all().schema_of(group, version, document.top("kind"))
}

/// Everything that is wrong with the structure of a document of a built-in kind.
pub(super) fn problems(document: &Document) -> Vec<Problem<'_>> {
    let Some(schema) = schema_of(document) else { return Vec::new() };
    let mut walk = Walk { around: Vec::new(), found: Vec::new() };
    walk.visit(&document.root, &document.root, schema, "");
    walk.found
}

/// A mapping on the way to the place.
struct Around<'a> {
    schema: Schema<'a>,
    node: &'a Node,
    path: String,
}

struct Walk<'a> {
    around: Vec<Around<'a>>,
    found: Vec<Problem<'a>>,
}

impl<'a> Walk<'a> {
    fn add(&mut self, wrong: Wrong<'a>, path: &str, key: &'a Node, value: &'a Node) {
        if self.found.len() < MOST {
            self.found.push(Problem { wrong, path: path.to_owned(), key, value });
        }
    }

    fn visit(&mut self, key: &'a Node, value: &'a Node, schema: Schema<'a>, path: &str) {
        let shape = schema.shape();
        if shape.kind == Type::Any && shape.format == Format::None && shape.properties.is_empty() {
            return;
        }
        match (&value.shape, shape.kind) {
            _ if value.is_null() => {}
            (Shape::Map { .. }, Type::Object | Type::Any) if shape.format == Format::None => {
                self.around.push(Around { schema, node: value, path: path.to_owned() });
                self.visit_map(key, value, schema, path);
                self.around.pop();
            }
            (Shape::List { items, .. }, Type::Array) => {
                if let Some(element) = schema.items() {
                    for (at, item) in items.iter().enumerate() {
                        self.visit(item, item, element, &format!("{path}[{at}]"));
                    }
                }
            }
            (_, Type::Object) => self.add(Wrong::Shape { wanted: "a mapping" }, path, key, value),
            (_, Type::Array) => self.add(Wrong::Shape { wanted: "a list" }, path, key, value),
            (Shape::Scalar { .. }, _) => {
                let checked = schema.check(&mut value.value(), CheckOptions::default());
                if let Some(error) = checked.decode_error() {
                    self.add(Wrong::Scalar(plain_words(error)), path, key, value);
                }
            }
            _ => self.add(Wrong::Shape { wanted: "a single value" }, path, key, value),
        }
    }

    fn visit_map(&mut self, key: &'a Node, map: &'a Node, schema: Schema<'a>, path: &str) {
        let shape = schema.shape();
        for (name, value) in map.entries() {
            let Some(text) = name.text().filter(|text| *text != "<<") else { continue };
            let inner = if path.is_empty() { text.to_owned() } else { format!("{path}.{text}") };
            if let Some(known) = schema.property(text) {
                self.visit(name, value, known, &inner);
                continue;
            }
            match &shape.additional {
                Additional::Of(_) => {
                    if let Some(values) = schema.values() {
                        self.visit(name, value, values, &inner);
                    }
                }
                Additional::Any => {}
                Additional::No if shape.preserve => {}
                Additional::No => {
                    let home = self.home(text, name);
                    self.add(Wrong::Unknown(home), &inner, name, value);
                }
            }
        }
        let merged = map.entry("<<").is_some();
        for required in shape.required.iter().filter(|name| map.get(name).is_none_or(Node::is_null) && !merged) {
            let inner = if path.is_empty() { required.to_string() } else { format!("{path}.{required}") };
            self.add(Wrong::Missing, &inner, key, map);
        }
    }

    /// Where an unknown field of the innermost mapping belongs.
    fn home(&self, name: &str, key: &'a Node) -> Home<'a> {
        let Some((here, outer)) = self.around.split_last() else { return Home::Nowhere };
        let beside = |null: bool| {
            let fitting = here.node.entries().iter().filter_map(|(other, value)| {
                let field = here.schema.property(other.text()?)?;
                let (inside, place) = match (field.items(), &value.shape) {
                    (Some(element), Shape::List { items, .. }) => (element, items.last()?),
                    _ => (field, value),
                };
                let free = place.is_null() == null && place.get(name).is_none();
                let is_map = null || matches!(place.shape, Shape::Map { .. });
                (free && is_map && inside.property(name).is_some()).then_some((other, place))
            });
            let nearest = fitting.min_by_key(|(other, _)| other.span.start.abs_diff(key.span.start));
            nearest.map(|(other, value)| {
                let path = join(&here.path, other.text().unwrap_or_default());
                Home::Beside(path, other, value)
            })
        };
        if let Some(home) = beside(true) {
            return home;
        }
        let mut inner = here;
        for around in outer.iter().rev() {
            if around.schema.property(name).is_some() && around.node.get(name).is_none() {
                let entry = around
                    .node
                    .entries()
                    .iter()
                    .find(|(_, value)| value.span == inner.node.span || within(inner.node, value));
                if let Some((_, value)) = entry {
                    return Home::Outer(around.path.clone(), around.node, value);
                }
            }
            inner = around;
        }
        if let Some(home) = beside(false) {
            return home;
        }
        let known = here.schema.shape().properties.iter().map(|property| property.name.as_ref());
        if let Some(near) = nearest(name, known) {
            return Home::Misspelt(near.to_owned());
        }
        deeper(here.schema, name).map_or(Home::Nowhere, |path| Home::Deeper(join(&here.path, &path)))
    }
}

fn within(inner: &Node, outer: &Node) -> bool {
    outer.span.start <= inner.span.start && inner.span.end <= outer.span.end
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The shortest way down to a field of this name.
fn deeper(schema: Schema<'_>, name: &str) -> Option<String> {
    let mut level = vec![(String::new(), schema)];
    for _ in 0..3 {
        let mut next = Vec::new();
        for (path, schema) in &level {
            for property in &schema.shape().properties {
                let Some(mut inside) = schema.property(&property.name) else { continue };
                if path.is_empty() && matches!(property.name.as_ref(), "status") {
                    continue;
                }
                let mut inner = join(path, &property.name);
                if let Some(element) = inside.items() {
                    inside = element;
                    inner.push_str("[]");
                }
                if inside.property(name).is_some() {
                    return Some(inner);
                }
                next.push((inner, inside));
            }
        }
        level = next;
    }
    None
}

/// Where a field that a message calls unknown belongs, by the schema alone. `at` is the path of the mapping.
pub(super) fn home_by_schema(kind: &str, at: &str, name: &str) -> Home<'static> {
    let resource = kinds::schema::resources().iter().find(|resource| resource.kind == kind);
    let root = resource.and_then(|one| kinds::schema::all().schema_of(one.group, one.version, one.kind));
    let Some(root) = root else { return Home::Nowhere };
    let names: Vec<&str> =
        at.split('.').map(|part| part.split('[').next().unwrap_or(part)).filter(|part| !part.is_empty()).collect();
    let at = |count: usize| root.find(names[..count].iter().copied());
    let Some(here) = at(names.len()) else { return Home::Nowhere };
    let here = here.items().unwrap_or(here);
    for count in (0..names.len()).rev() {
        let Some(outer) = at(count).map(|outer| outer.items().unwrap_or(outer)) else { continue };
        if outer.property(name).is_some() {
            return Home::Deeper(names[..count].join("."));
        }
    }
    let known = here.shape().properties.iter().map(|property| property.name.as_ref());
    if let Some(near) = nearest(name, known) {
        return Home::Misspelt(near.to_owned());
    }
    deeper(here, name).map_or(Home::Nowhere, |path| Home::Deeper(join(&names.join("."), &path)))
}

/// The decoder's words without those of its language.
fn plain_words(error: &str) -> String {
    let Some(rest) = error.strip_prefix("json: cannot unmarshal ") else { return error.to_owned() };
    let (found, wanted) = rest.split_once(" into ").unwrap_or((rest, ""));
    let wanted = match wanted.rsplit(" of type ").next().unwrap_or_default() {
        "string" => "text",
        "bool" => "true or false",
        "int32" | "int64" => "a whole number",
        "float64" => "a number",
        other => other,
    };
    let found = match found.split_whitespace().next().unwrap_or_default() {
        "string" => "text",
        "bool" => "a truth value",
        "number" => "a number",
        other => other,
    };
    format!("it is {found}, but should be {wanted}")
}
