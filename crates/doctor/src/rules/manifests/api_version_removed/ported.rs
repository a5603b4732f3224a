//! Manifests of removed versions, written in those that took their place.

use crate::finding::Fix;
use crate::read::manifest::{Document, Node, Shape};
use crate::rules::manifests::removed::Removed;
use crate::rules::manifests::selectors;

/// The edits that port a document, where they can be told.
pub(super) fn fix(text: &str, item: usize, document: &Document, known: &Removed) -> Option<Fix> {
    let version = document.root.get("apiVersion")?;
    let kind = document.top("kind");
    let title = format!("write `apiVersion: {}`", known.to);
    match (kind, known.to) {
        (_, "") => None,
        ("Ingress", _) => ingress(item, document, Fix::review(format!("{title}, and the backends in their new form")))
            .map(|fix| fix.edit(item, version.span.clone(), known.to)),
        (_, "apps/v1") if kind != "ControllerRevision" && document.root.find("spec.selector").is_none() => {
            let fix = Fix::safe(format!("{title}, with the selector that it had by default"));
            let fix = selectors::added(text, item, document, fix)?;
            Some(fix.edit(item, version.span.clone(), known.to))
        }
        _ if known.same => Some(Fix::safe(title).edit(item, version.span.clone(), known.to)),
        _ => None,
    }
}

/// Backends of an Ingress: `serviceName` and `servicePort` become `service`, and every path gets a type.
fn ingress(item: usize, document: &Document, mut fix: Fix) -> Option<Fix> {
    let root = &document.root;
    if let Some((Some(key), backend)) = root.find("spec.backend") {
        fix = fix.edit(item, key.span.clone(), "defaultBackend");
        fix = fix.edit(item, backend.span.clone(), service(backend)?);
    }
    let rules = root.find("spec.rules").map(|(_, rules)| rules.items()).unwrap_or_default();
    for rule in rules {
        let paths = rule.find("http.paths").map(|(_, paths)| paths.items()).unwrap_or_default();
        for path in paths {
            let backend = path.get("backend")?;
            fix = fix.edit(item, backend.span.clone(), service(backend)?);
            let Shape::Map { flow: false, entries } = &path.shape else { return None };
            let (first, _) = entries.first()?;
            if path.get("pathType").is_none() {
                let new = format!("pathType: ImplementationSpecific\n{}", " ".repeat(first.column));
                fix = fix.edit(item, first.span.start..first.span.start, new);
            }
        }
    }
    Some(fix)
}

/// The new form of a backend.
fn service(backend: &Node) -> Option<String> {
    let Shape::Map { flow, entries } = &backend.shape else { return None };
    if entries.len() != 2 {
        return None;
    }
    let name = backend.get("serviceName")?.text()?;
    let port = backend.get("servicePort")?.text()?;
    let field = if port.parse::<u16>().is_ok() { "number" } else { "name" };
    if *flow {
        return Some(format!("{{service: {{name: {name}, port: {{{field}: {port}}}}}}}"));
    }
    let indent = " ".repeat(entries.first()?.0.column);
    Some(format!("service:\n{indent}  name: {name}\n{indent}  port:\n{indent}    {field}: {port}"))
}
