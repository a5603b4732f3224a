//! Completing k8s-openapi's schemas with what they lack.

use std::collections::{BTreeSet, HashMap};

use api::schema::{
    Additional, Definition, Format, GroupVersionKind, ListType, MapType, Node, PatchStrategy, Property, Reader, Type,
};

const FACTS: &str = include_str!("facts.txt");
const GO_TYPES: &str = include_str!("go_types.txt");

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Adds the facts to the definitions, and the List kinds.
pub(super) fn complete(definitions: &mut Vec<Definition>, reader: &mut Reader) {
    let lines = Lines::of(FACTS);
    let versions = versions(&lines);
    for list in lines.sections.iter().filter(|section| section.has("items=")) {
        definitions.push(list_definition(list, reader));
    }
    definitions.push(watch_event(reader));
    let mut places: HashMap<String, usize> = HashMap::new();
    for (at, definition) in definitions.iter_mut().enumerate() {
        correct(definition);
        places.insert(definition.name.to_string(), at);
    }
    for section in &lines.sections {
        let Some(definition) = places.get(section.name).and_then(|at| definitions.get_mut(*at)) else { continue };
        definition.kinds = kinds(section, &versions, reader);
        apply(&mut definition.node, &section.facts, reader);
        for (name, facts) in &section.properties {
            let property = definition.node.properties.iter_mut().find(|property| *property.name == **name);
            if let Some(property) = property {
                apply(&mut property.node, facts, reader);
            }
        }
    }
    name_go_types(definitions, reader);
}

/// A table of sections with indented lines below them.
struct Lines {
    sections: Vec<Section>,
}

struct Section {
    name: &'static str,
    facts: Vec<&'static str>,
    properties: Vec<(&'static str, Vec<&'static str>)>,
}

impl Lines {
    fn of(table: &'static str) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let Some(name) = words.next() else { continue };
            let facts = words.collect();
            match sections.last_mut() {
                Some(section) if line.starts_with(' ') => section.properties.push((name, facts)),
                _ => sections.push(Section { name, facts, properties: Vec::new() }),
            }
        }
        Self { sections }
    }
}

impl Section {
    fn value(&self, key: &str) -> Option<&'static str> {
        self.facts.iter().find_map(|fact| fact.strip_prefix(key))
    }

    fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }
}

/// Every group and version that has a kind.
fn versions(lines: &Lines) -> BTreeSet<(&'static str, &'static str)> {
    let kinds = lines.sections.iter().filter_map(|section| section.value("kind="));
    kinds
        .filter_map(|kind| {
            let mut parts = kind.split('/');
            Some((parts.next()?, parts.next()?))
        })
        .collect()
}

fn kinds(section: &Section, versions: &BTreeSet<(&str, &str)>, reader: &mut Reader) -> Vec<GroupVersionKind> {
    let Some(kind) = section.value("kind=") else { return Vec::new() };
    let mut gvk = |group: &str, version: &str, kind: &str| GroupVersionKind {
        group: reader.share(group),
        version: reader.share(version),
        kind: reader.share(kind),
    };
    if kind == "*" {
        let name = section.name.rsplit('.').next().unwrap_or_default();
        return versions.iter().map(|(group, version)| gvk(group, version, name)).collect();
    }
    let mut parts = kind.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(group), Some(version), Some(kind)) => vec![gvk(group, version, kind)],
        _ => Vec::new(),
    }
}

fn apply(node: &mut Node, facts: &[&'static str], reader: &mut Reader) {
    for fact in facts {
        match fact.split_once('=') {
            Some(("list", "map")) => node.list = ListType::Map,
            Some(("list", "set")) => node.list = ListType::Set,
            Some(("map", "atomic")) => node.map = MapType::Atomic,
            Some(("keys", keys)) => node.extra_mut().list_keys = keys.split(',').map(|key| reader.share(key)).collect(),
            Some(("required", names)) => node.required = names.split(',').map(|name| reader.share(name)).collect(),
            Some(("strategy", text)) => node.strategy = PatchStrategy::from_text(text),
            Some(("merge", key)) => node.extra_mut().merge_key = Some(reader.share(key)),
            _ => {}
        }
    }
}

/// Mends what k8s-openapi's schemas say differently from the API, or cannot say.
fn correct(definition: &mut Definition) {
    let node = &mut definition.node;
    // What must be present is a fact of the table: some types hold without Option what the API does not ask for.
    node.required = Box::default();
    match definition.name.rsplit('.').next().unwrap_or_default() {
        "Quantity" => (node.kind, node.format) = (Type::Any, Format::Quantity),
        "Time" => (node.kind, node.format, node.extra) = (Type::String, Format::DateTime, None),
        "MicroTime" => (node.kind, node.format, node.extra) = (Type::String, Format::MicroTime, None),
        "RawExtension" | "FieldsV1" | "Patch" if node.properties.is_empty() => {
            (node.kind, node.preserve) = (Type::Object, true);
        }
        _ => {}
    }
}

/// A List kind: k8s-openapi has one generic type for all of them.
fn list_definition(section: &Section, reader: &mut Reader) -> Definition {
    let item = section.value("items=").unwrap_or_default();
    let item_kind = item.rsplit('.').next().unwrap_or_default();
    let items = Node {
        kind: Type::Array,
        items: Some(Box::new(reference(reader, item))),
        ..described(reader, "The objects of this list.")
    };
    let metadata = Node {
        reference: Some(reader.share(&format!("{META}.ListMeta"))),
        ..described(reader, "Metadata of the list: its version and how to continue it.")
    };
    let properties = [
        ("apiVersion", text(reader, "Version of the schema that the list is written in.")),
        ("items", items),
        ("kind", text(reader, "Kind of the list.")),
        ("metadata", metadata),
    ];
    object(section.name, &format!("{item_kind}List is a list of {item_kind} objects."), properties, reader)
}

/// What a watch sends: an enum of k8s-openapi, without a schema of its own.
fn watch_event(reader: &mut Reader) -> Definition {
    let properties = [
        ("object", reference(reader, "io.k8s.apimachinery.pkg.runtime.RawExtension")),
        ("type", text(reader, "What happened: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.")),
    ];
    object(&format!("{META}.WatchEvent"), "WatchEvent is one change that a watch reports.", properties, reader)
}

fn object<const N: usize>(
    name: &str,
    description: &str,
    properties: [(&str, Node); N],
    reader: &mut Reader,
) -> Definition {
    let properties = properties.map(|(name, node)| Property { name: reader.share(name), node }).into();
    let node = Node { kind: Type::Object, properties, ..described(reader, description) };
    Definition { name: reader.share(name), node, kinds: Vec::new() }
}

fn described(reader: &mut Reader, description: &str) -> Node {
    Node { description: Some(reader.share(description)), ..Node::default() }
}

fn text(reader: &mut Reader, description: &str) -> Node {
    Node { kind: Type::String, ..described(reader, description) }
}

fn reference(reader: &mut Reader, name: &str) -> Node {
    Node { reference: Some(reader.share(name)), ..Node::default() }
}

/// Adds the Go types that decode errors name.
fn name_go_types(definitions: &mut [Definition], reader: &mut Reader) {
    let lines = Lines::of(GO_TYPES);
    let by_name: HashMap<&str, &Section> = lines.sections.iter().map(|section| (section.name, section)).collect();
    for definition in definitions {
        // `core.v1.PodSpec` of `io.k8s.api.core.v1.PodSpec`.
        let dots: Vec<usize> = definition.name.rmatch_indices('.').map(|(at, _)| at).take(3).collect();
        let [.., start] = dots.as_slice() else { continue };
        let Some(section) = by_name.get(&definition.name[start + 1..]) else { continue };
        for property in &mut definition.node.properties {
            let named = section.properties.iter().find(|(name, _)| **name == *property.name);
            if let Some([go]) = named.map(|(_, go)| go.as_slice()) {
                name_go_type(&mut property.node, go, reader);
            }
        }
    }
}

fn name_go_type(node: &mut Node, go: &str, reader: &mut Reader) {
    node.extra_mut().go_type = Some(reader.share(go));
    let element = go.strip_prefix("[]").or_else(|| go.strip_prefix("map[")?.split_once(']').map(|(_, value)| value));
    let inner = match (&mut node.items, &mut node.additional) {
        (Some(items), _) => items,
        (_, Additional::Of(values)) => values,
        _ => return,
    };
    if let Some(element) = element.map(|element| element.trim_start_matches('*'))
        && inner.reference.is_none()
    {
        name_go_type(inner, element, reader);
    }
}
