//! The paths of an OpenAPI document: which operations each resource has, with the parameters that clients look for.
//!
//! kubectl reads from here whether a kind takes `fieldValidation` and `dryRun`, which patches it takes, and which kind a
//! path is about. Descriptions of operations are left out.

use api::schema::{Dialect, SchemaSet};
use serde_json::{Map, Value, json};

use super::super::resources::{Name, Resource, Version};

/// Definitions that every document has.
pub const SHARED: &[&str] = &[
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
];

const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// Query parameters: name and type.
type Parameters = &'static [(&'static str, &'static str)];

const LIST: Parameters = &[
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];
const WRITE: Parameters = &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
const PATCH: Parameters =
    &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")];
const DELETE: Parameters = &[
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const NONE: Parameters = &[];

/// The name of a kind's definition.
pub fn definition<'a>(set: &'a SchemaSet, group: &str, version: &str, kind: &str) -> Option<&'a str> {
    set.definition_of(group, version, kind).map(|found| &*found.name)
}

/// The paths of one group version.
pub fn paths(set: &SchemaSet, version: &Version, dialect: Dialect) -> Value {
    let mut paths = Map::new();
    let base = format!("/{}", version.path());
    for resource in &version.resources {
        let writer = Writer { set, dialect, resource };
        let plural = resource.plural;
        let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let collection = format!("{base}{namespace}/{plural}");
        let (on_collection, on_item): (Vec<_>, Vec<_>) =
            OPERATIONS.iter().filter(|one| resource.verbs.contains(&one.verb)).partition(|one| one.on_collection);
        let list = on_collection.iter().find(|one| one.verb == "list").copied();
        if let (true, Some(list)) = (resource.namespaced, list) {
            paths.insert(format!("{base}/{plural}"), writer.item([list], "", resource.of, NONE));
        }
        let own: Parameters = if resource.namespaced { &[("namespace", "string")] } else { NONE };
        if !on_collection.is_empty() {
            paths.insert(collection.clone(), writer.item(on_collection, "", resource.of, own));
        }
        let own: Parameters =
            if resource.namespaced { &[("name", "string"), ("namespace", "string")] } else { &[("name", "string")] };
        if !on_item.is_empty() {
            paths.insert(format!("{collection}/{{name}}"), writer.item(on_item, "", resource.of, own));
        }
        for subresource in &resource.subresources {
            let operations = OPERATIONS
                .iter()
                .filter(|one| subresource.verbs.contains(&one.verb) && (!one.on_collection || one.verb == "create"));
            let path = format!("{collection}/{{name}}/{}", subresource.name);
            paths.insert(path, writer.item(operations, subresource.name, subresource.of, own));
        }
    }
    Value::Object(paths)
}

/// An operation that a verb stands for.
struct Operation {
    verb: &'static str,
    method: &'static str,
    /// `x-kubernetes-action`.
    action: &'static str,
    on_collection: bool,
    query: Parameters,
}

const OPERATIONS: &[Operation] = &[
    Operation { verb: "list", method: "get", action: "list", on_collection: true, query: LIST },
    Operation { verb: "create", method: "post", action: "post", on_collection: true, query: WRITE },
    Operation {
        verb: "deletecollection",
        method: "delete",
        action: "deletecollection",
        on_collection: true,
        query: DELETE,
    },
    Operation { verb: "get", method: "get", action: "get", on_collection: false, query: NONE },
    Operation { verb: "update", method: "put", action: "put", on_collection: false, query: WRITE },
    Operation { verb: "patch", method: "patch", action: "patch", on_collection: false, query: PATCH },
    Operation { verb: "delete", method: "delete", action: "delete", on_collection: false, query: DELETE },
];

struct Writer<'a> {
    set: &'a SchemaSet,
    dialect: Dialect,
    resource: &'a Resource,
}

impl Writer<'_> {
    /// A path item: its operations, and the parameters in its path.
    fn item<'o>(
        &self,
        operations: impl IntoIterator<Item = &'o Operation>,
        subresource: &str,
        of: Name,
        in_path: Parameters,
    ) -> Value {
        let mut item = Map::new();
        let everywhere = in_path.is_empty() && self.resource.namespaced;
        for operation in operations {
            let id = self.operation_id(operation, subresource, everywhere);
            item.insert(operation.method.to_owned(), self.operation(operation, id, of));
        }
        let parameters: Vec<Value> = in_path
            .iter()
            .map(|(name, kind)| self.parameter(name, kind, "path"))
            .chain([self.parameter("pretty", "string", "query")])
            .collect();
        item.insert("parameters".to_owned(), Value::Array(parameters));
        Value::Object(item)
    }

    fn operation(&self, operation: &Operation, id: String, of: Name) -> Value {
        let mut parameters: Vec<Value> =
            operation.query.iter().map(|(name, kind)| self.parameter(name, kind, "query")).collect();
        let answer = match operation.verb {
            "list" => self.reference(of.group, of.version, &format!("{}List", of.kind)),
            "delete" | "deletecollection" => self.reference("", "v1", "Status"),
            _ => self.reference(of.group, of.version, of.kind),
        };
        let body = match operation.verb {
            "create" | "update" => self.reference(of.group, of.version, of.kind),
            "patch" => Some(self.named("io.k8s.apimachinery.pkg.apis.meta.v1.Patch")),
            "delete" | "deletecollection" => Some(self.named("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")),
            _ => None,
        };
        let mut written = json!({
            "operationId": id,
            "x-kubernetes-action": operation.action,
            "x-kubernetes-group-version-kind": {"group": of.group, "version": of.version, "kind": of.kind},
        });
        let ok = match (self.dialect, answer) {
            (_, None) => json!({"description": "OK"}),
            (Dialect::V2, Some(schema)) => json!({"description": "OK", "schema": schema}),
            (Dialect::V3, Some(schema)) => {
                json!({"description": "OK", "content": {"application/json": {"schema": schema}}})
            }
        };
        written["responses"] = json!({"200": ok, "401": {"description": "Unauthorized"}});
        if let Some(schema) = body {
            let media: &[&str] = if operation.verb == "patch" { &PATCHES } else { &["application/json"] };
            match self.dialect {
                Dialect::V2 => {
                    let required = !operation.verb.starts_with("delete");
                    written["consumes"] = json!(media);
                    parameters.push(json!({"name": "body", "in": "body", "required": required, "schema": schema}));
                }
                Dialect::V3 => {
                    let content: Map<String, Value> =
                        media.iter().map(|one| ((*one).to_owned(), json!({"schema": schema}))).collect();
                    written["requestBody"] = json!({"content": content});
                }
            }
        }
        if !parameters.is_empty() {
            written["parameters"] = Value::Array(parameters);
        }
        written
    }

    fn parameter(&self, name: &str, kind: &str, place: &str) -> Value {
        let mut parameter = json!({"name": name, "in": place});
        if place == "path" {
            parameter["required"] = json!(true);
        }
        match self.dialect {
            Dialect::V2 => {
                parameter["type"] = json!(kind);
                parameter["uniqueItems"] = json!(true);
            }
            Dialect::V3 => parameter["schema"] = json!({"type": kind, "uniqueItems": true}),
        }
        parameter
    }

    fn reference(&self, group: &str, version: &str, kind: &str) -> Option<Value> {
        if kind == "Status" {
            return Some(self.named("io.k8s.apimachinery.pkg.apis.meta.v1.Status"));
        }
        definition(self.set, group, version, kind).map(|name| self.named(name))
    }

    fn named(&self, name: &str) -> Value {
        match self.dialect {
            Dialect::V2 => json!({"$ref": format!("#/definitions/{name}")}),
            Dialect::V3 => json!({"$ref": format!("#/components/schemas/{name}")}),
        }
    }

    /// `readCoreV1NamespacedPodLog` and the like: unique in a document.
    fn operation_id(&self, operation: &Operation, subresource: &str, everywhere: bool) -> String {
        let Name { group, version, kind } = self.resource.of;
        let verb = match operation.verb {
            "get" => "read",
            "update" => "replace",
            "deletecollection" => "deleteCollection",
            other => other,
        };
        let group = if group.is_empty() { "core" } else { group.trim_end_matches(".k8s.io") };
        let group: String = group.split('.').map(capitalized).collect();
        let namespaced = if self.resource.namespaced && !everywhere { "Namespaced" } else { "" };
        let suffix = if everywhere { "ForAllNamespaces" } else { "" };
        format!("{verb}{group}{}{namespaced}{kind}{}{suffix}", capitalized(version), capitalized(subresource))
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
