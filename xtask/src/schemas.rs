//! `cargo xtask schemas PATH`: refreshes the facts about Kubernetes' API that its Rust types do not carry.
//!
//! With an OpenAPI definitions file (of the Kubernetes version that the workspace's k8s-openapi feature names) it writes
//! `facts.txt`: list types, merge keys, patch strategies, map types, kinds, and what List kinds hold. With a directory of
//! Go sources (the `k8s.io/api` and `k8s.io/apimachinery` modules) it writes `go_types.txt`: the Go types that decode
//! errors name, where they do not follow from the JSON type.
//!
//! Only facts are taken. Descriptions and structure come from k8s-openapi at run time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/kinds/src/schema");

/// Refreshes one of the two tables, by what `path` is.
pub fn refresh(path: &Path) -> Result<()> {
    let (name, table) = if path.is_dir() {
        ("go_types.txt", go_types(path)?)
    } else {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let document = serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        ("facts.txt", facts(&document)?)
    };
    let target = Path::new(TARGET).join(name);
    fs::write(&target, table).with_context(|| format!("write {}", target.display()))
}

const FACTS_HEAD: &str = "\
# Facts about Kubernetes' API that its Rust types do not carry. Written by `cargo xtask schemas DEFINITIONS`.
# A line without indentation is a definition, an indented one a property of it.
# list=TYPE keys=MAP-KEYS  how server-side apply merges a list; lists without an entry are atomic
# map=atomic               an object that is replaced as a whole
# required=FIELDS          the fields that must be present; the Rust types differ in some
# strategy= merge=KEY      how strategic merge patch merges
# kind=GROUP/VERSION/KIND  what a definition describes; * is every group and version
# items=DEFINITION         a List kind, and what it holds
";

fn facts(document: &Value) -> Result<String> {
    let definitions = ["definitions", "$defs"].iter().find_map(|key| document.get(key)).unwrap_or(document);
    let Value::Object(definitions) = definitions else {
        bail!("no definitions found: expected an OpenAPI v2 document")
    };
    let mut table = FACTS_HEAD.to_owned();
    for (name, definition) in definitions {
        let own = definition_facts(definition);
        let mut properties = String::new();
        for (property, schema) in definition.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let facts = merge_facts(schema);
            if !facts.is_empty() {
                writeln!(properties, "  {property} {}", facts.join(" "))?;
            }
        }
        if !own.is_empty() || !properties.is_empty() {
            let line = [std::slice::from_ref(name), own.as_slice()].concat().join(" ");
            write!(table, "{line}\n{properties}")?;
        }
    }
    Ok(table)
}

fn definition_facts(definition: &Value) -> Vec<String> {
    let mut facts = merge_facts(definition);
    if let Some(Value::Array(required)) = definition.get("required") {
        let names: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
        facts.push(format!("required={}", names.join(",")));
    }
    let kinds = definition.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
    match kinds.map(Vec::as_slice) {
        Some([kind]) => {
            let part = |name: &str| kind.get(name).and_then(Value::as_str).unwrap_or_default();
            facts.push(format!("kind={}/{}/{}", part("group"), part("version"), part("kind")));
            if part("kind").ends_with("List")
                && let Some(target) = definition.pointer("/properties/items/items/$ref").and_then(Value::as_str)
            {
                facts.push(format!("items={}", target.rsplit('/').next().unwrap_or(target)));
            }
        }
        Some([_, _, ..]) => facts.push("kind=*".into()),
        Some([]) | None => {}
    }
    facts
}

fn merge_facts(schema: &Value) -> Vec<String> {
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    let mut facts = Vec::new();
    if let Some(list) = text("x-kubernetes-list-type").filter(|list| *list != "atomic") {
        facts.push(format!("list={list}"));
    }
    if let Some(Value::Array(keys)) = schema.get("x-kubernetes-list-map-keys") {
        let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
        facts.push(format!("keys={}", keys.join(",")));
    }
    if text("x-kubernetes-map-type") == Some("atomic") {
        facts.push("map=atomic".into());
    }
    if let Some(strategy) = text("x-kubernetes-patch-strategy") {
        facts.push(format!("strategy={strategy}"));
    }
    if let Some(key) = text("x-kubernetes-patch-merge-key") {
        facts.push(format!("merge={key}"));
    }
    facts
}

const GO_TYPES_HEAD: &str = "\
# Go types of fields, as decode errors name them, where they do not follow from the JSON type.
# Written by `cargo xtask schemas DIRECTORY` from the sources of k8s.io/api and k8s.io/apimachinery.
# A line without indentation is a package and struct, an indented one a JSON field and its type.
";

/// A struct field: its JSON name and its type as written; inlined structs have no name.
struct Field {
    json: Option<String>,
    go: String,
}

/// What the sources declare.
#[derive(Default)]
struct Sources {
    /// Fields by package and struct.
    structs: BTreeMap<(String, String), Vec<Field>>,
    /// Names of types that are no structs, in any package.
    named: BTreeSet<String>,
}

/// Types that decode themselves: their errors name what they decode.
const DECODE_THEMSELVES: [&str; 9] =
    ["Quantity", "IntOrString", "RawExtension", "Time", "MicroTime", "Duration", "FieldsV1", "JSON", "Fields"];

fn go_types(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    let mut sources = Sources::default();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        read_go(&text, &package_name(root, &file), &mut sources);
    }
    let facts = fs::read_to_string(Path::new(TARGET).join("facts.txt")).context("read facts.txt; write it first")?;
    let mut table = GO_TYPES_HEAD.to_owned();
    for (package, name) in sources.structs.keys() {
        // Sources keep versions that are no longer served.
        if !facts.contains(&format!(".{package}.")) {
            continue;
        }
        let version = package.rsplit('.').next().unwrap_or(package);
        let mut fields = BTreeMap::new();
        flatten(&sources, package, name, &mut fields);
        fields.retain(|_, go| !follows_from_json(&sources, go));
        if !fields.is_empty() {
            writeln!(table, "{package}.{name}")?;
            for (json, go) in fields {
                writeln!(table, "  {json} {}", qualify(version, go))?;
            }
        }
    }
    Ok(table)
}

/// `api/core/v1/types.go` as the definitions name it: `core.v1`.
fn package_name(root: &Path, file: &Path) -> String {
    let inside = file.parent().and_then(|parent| parent.strip_prefix(root).ok()).unwrap_or(Path::new(""));
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    parts[parts.len().saturating_sub(2)..].join(".")
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let generated = ["_test.go", ".pb.go"].iter().any(|end| name.ends_with(end)) || name.starts_with("zz_");
        if path.is_dir() {
            collect(&path, files)?;
        } else if name.ends_with(".go") && !generated {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// Reads `type X struct {…}` and `type X string`; enough of Go for API types, which are gofmt'd.
fn read_go(text: &str, package: &str, sources: &mut Sources) {
    let mut open: Option<&str> = None;
    for line in text.lines() {
        if let Some(name) = open {
            if line.starts_with('}') {
                open = None;
            } else if let Some(field) = read_field(line) {
                sources.structs.entry((package.into(), name.into())).or_default().push(field);
            }
            continue;
        }
        let Some((name, of)) = line.strip_prefix("type ").and_then(|declared| declared.split_once(' ')) else {
            continue;
        };
        if of.starts_with("struct {") {
            open = (!of.contains('}')).then_some(name);
        } else if !of.starts_with("interface") && name != "(" {
            sources.named.insert(name.to_owned());
        }
    }
}

fn read_field(line: &str) -> Option<Field> {
    let (declared, tags) = line.trim().split_once('`')?;
    let tag = tags.split("json:\"").nth(1)?.split('"').next()?;
    let mut words = declared.split_whitespace();
    let first = words.next()?;
    let rest: String = words.collect();
    let json = tag.split(',').next().unwrap_or_default();
    if json == "-" {
        return None;
    }
    let go = if rest.is_empty() { first.to_owned() } else { rest };
    Some(Field { json: (!json.is_empty()).then(|| json.to_owned()), go })
}

/// The fields of a struct and of those inlined in it.
fn flatten<'s>(sources: &'s Sources, package: &str, name: &str, fields: &mut BTreeMap<&'s str, &'s str>) {
    for field in sources.structs.get(&(package.into(), name.into())).into_iter().flatten() {
        match &field.json {
            Some(json) => drop(fields.insert(json, field.go.trim_start_matches('*'))),
            None => flatten(sources, package, field.go.trim_start_matches('*'), fields),
        }
    }
}

/// Whether the schema alone tells how Go prints the type.
fn follows_from_json(sources: &Sources, go: &str) -> bool {
    if let Some(element) = go.strip_prefix("[]").or_else(|| go.strip_prefix("map[string]")) {
        return element == "byte" || follows_from_json(sources, element);
    }
    let name = go.rsplit('.').next().unwrap_or(go);
    let basic = ["string", "bool", "int32", "int64", "float64"].contains(&go);
    let structural = !go.starts_with(['*', '[']) && !go.starts_with("map[");
    basic
        || DECODE_THEMSELVES.contains(&name)
        || structural && name.starts_with(char::is_uppercase) && !sources.named.contains(name)
}

/// Writes the package before every type that has one: `[]v1.Container`, `map[v1.ResourceName]resource.Quantity`.
fn qualify(version: &str, go: &str) -> String {
    for prefix in ["[]", "*"] {
        if let Some(rest) = go.strip_prefix(prefix) {
            return format!("{prefix}{}", qualify(version, rest));
        }
    }
    if let Some((key, value)) = go.strip_prefix("map[").and_then(|rest| rest.split_once(']')) {
        return format!("map[{}]{}", qualify(version, key), qualify(version, value));
    }
    match go.split_once('.') {
        // An alias such as `metav1` stands for a package whose own name is its version.
        Some((alias, name)) => {
            let at = alias.rfind('v').filter(|at| alias[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
            format!("{}.{name}", &alias[at.unwrap_or(0)..])
        }
        None if go == "byte" => "uint8".into(),
        None if go.starts_with(char::is_uppercase) => format!("{version}.{go}"),
        None => go.to_owned(),
    }
}
