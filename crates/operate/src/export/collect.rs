//! Collects the objects of a cluster as an export has them: chosen, and clean.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use futures::stream;
use kube::Client;
use serde_json::Value;

use super::ask::{self, Page, Refused};
use super::defaults::{Defaults, Pattern};
use super::index::{Failed, Index};
use super::kinds::{self, Kind};
use super::{ExportError, Options, Secrets, choose, clean, helm};

/// Lists under way at the same time.
const AT_ONCE: usize = 6;

/// Whose fields are listed once.
const EVERY_KIND: &str = "*";

/// An object as it is exported.
pub struct Object<'a> {
    /// Its kind.
    pub kind: &'a Kind,
    /// Its content, clean.
    pub value: Value,
    /// The same without what the server would set by itself; `None` if that is all of it, or not known.
    pub short: Option<Value>,
    /// Who manages which field, as the server keeps it.
    pub managed: Value,
}

/// What [`collect`] hands on.
pub enum Collected<'a> {
    /// An object.
    Object(Object<'a>),
    /// Objects of this kind that came before don't count: they come again.
    Again(&'a Kind),
}

/// Collects a cluster's objects, and hands each on as soon as it is read, each list in its order.
///
/// # Errors
/// When the API can't be asked at all, options name what is not there, or `sink` fails. Kinds that may not be read are
/// in the index.
pub async fn collect(
    client: &Client,
    options: &Options,
    mut sink: impl FnMut(Collected<'_>) -> Result<(), ExportError>,
) -> Result<Index, ExportError> {
    let (kinds, failed) = ask::discover(client).await?;
    let mut index = Index { version: 1, options: options.clone(), failed, ..Index::default() };
    there(client, options, &kinds).await?;
    if !options.raw {
        index.fields_left_out.insert(EVERY_KIND.to_owned(), clean::everywhere());
    }
    let wanted = wanted(kinds, options, &mut index);
    let lists = wanted.iter().flat_map(|kind| lists(kind, options).into_iter().map(move |list| (kind, list)));
    let pages = lists
        .map(|(kind, (path, selectors))| ask::pages(client, path, selectors).map(move |page| (kind, page)).boxed());
    let pages: Vec<_> = pages.collect();
    let mut pages = stream::iter(pages).flatten_unordered(AT_ONCE);
    let defaults = Defaults::of(client);
    while let Some((kind, page)) = pages.next().await {
        match page {
            Ok(Page::Objects(objects)) => {
                let mut found = Vec::new();
                for mut value in objects {
                    kind.stamp(&mut value);
                    let managed = value["metadata"]["managedFields"].clone();
                    found.extend(chosen(kind, value, options, &mut index).map(|value| (value, managed)));
                }
                let defaults = &defaults;
                let asked = found.into_iter().map(|(value, managed)| async move {
                    let left = if options.raw { None } else { Some(defaults.leave_out(kind, &value).await) };
                    (value, managed, left)
                });
                let mut asked = stream::iter(asked.collect::<Vec<_>>()).buffered(AT_ONCE);
                while let Some((value, managed, left)) = asked.next().await {
                    let short = left.and_then(|left| told(&mut index, kind, left));
                    sink(Collected::Object(Object { kind, value, short, managed }))?;
                }
            }
            Ok(Page::Again) => {
                index.exported.remove(&kind.shown());
                sink(Collected::Again(kind))?;
            }
            Err(refused) => fail(&mut index, kind, refused),
        }
    }
    index.failed.sort();
    index.failed.dedup();
    Ok(index)
}

/// What the options name must be there: a misspelt name would give an empty export.
async fn there(client: &Client, options: &Options, kinds: &[Kind]) -> Result<(), ExportError> {
    for name in &options.kinds {
        if !kinds.iter().any(|kind| kind.is_called(name)) {
            return Err(ExportError::NoKind(name.clone()));
        }
    }
    for name in &options.namespaces {
        match ask::get(client, &format!("/api/v1/namespaces/{name}")).await {
            Err(refused) if refused.code == 404 => return Err(ExportError::NoNamespace(name.clone())),
            // Whoever may not look at namespaces may look into one.
            _ => {}
        }
    }
    Ok(())
}

/// The kinds that are listed; the others are written down.
fn wanted(kinds: Vec<Kind>, options: &Options, index: &mut Index) -> Vec<Kind> {
    let mut wanted = Vec::new();
    for kind in kinds {
        if !options.kinds.is_empty() {
            if options.kinds.iter().any(|name| kind.is_called(name)) {
                wanted.push(kind);
            }
            continue;
        }
        let of_namespaces = kind.namespaced || kind.kind == "Namespace" && kind.group.is_empty();
        if !options.namespaces.is_empty() && !of_namespaces {
            continue;
        }
        match kinds::omitted(&kind).filter(|_| !options.all) {
            Some(why) => drop(index.kinds_left_out.insert(kind.shown(), why.to_owned())),
            // The same objects are in the core.
            None if kind.group == "events.k8s.io" => {}
            None => wanted.push(kind),
        }
    }
    wanted
}

/// Paths and selectors of a kind's lists.
fn lists(kind: &Kind, options: &Options) -> Vec<(String, String)> {
    let labels = options.selector.as_deref();
    let everywhere = || vec![(kind.path(None), ask::selectors(labels, None))];
    if options.namespaces.is_empty() {
        return everywhere();
    }
    let names = options.namespaces.iter().collect::<BTreeSet<_>>().into_iter();
    if kind.namespaced {
        return names.map(|name| (kind.path(Some(name)), ask::selectors(labels, None))).collect();
    }
    if kind.kind == "Namespace" {
        let of = |name: &String| ask::selectors(labels, Some(&format!("metadata.name={name}")));
        return names.map(|name| (kind.path(None), of(name))).collect();
    }
    everywhere()
}

/// The object as it is exported, unless it is left out. The index is told either way.
fn chosen(kind: &Kind, mut object: Value, options: &Options, index: &mut Index) -> Option<Value> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let full = metadata["namespace"].as_str().map_or_else(|| name.to_owned(), |space| format!("{space}/{name}"));
    if let Some(why) = choose::left_out(kind, &object).filter(|_| !options.all && !options.raw) {
        let names = index.objects_left_out.entry(kind.shown()).or_default().entry(why.to_owned()).or_default();
        if why != choose::OWNED {
            names.insert(full);
        }
        return None;
    }
    let is_secret = kind.group.is_empty() && kind.kind == "Secret";
    if helm::is_memory(&object) {
        helm::remember(&object, &mut index.helm);
        if options.secrets == Secrets::Omit && !options.all && !options.raw {
            let reasons = index.objects_left_out.entry(kind.shown()).or_default();
            reasons.entry(helm::FORGOTTEN.to_owned()).or_default().insert(full);
            return None;
        }
    }
    helm::claim(&object, &mut index.helm);
    if !options.raw {
        let mut removed = BTreeSet::new();
        clean::clean(&mut object, &mut removed);
        if !removed.is_empty() {
            index.fields_left_out.entry(kind.shown()).or_default().append(&mut removed);
        }
    }
    if is_secret {
        clean::hide(&mut object, options.secrets);
        if !object["metadata"]["annotations"][clean::OMITTED].is_null() {
            index.secrets_without_values.insert(full);
        }
    }
    *index.exported.entry(kind.shown()).or_default() += 1;
    Some(object)
}

/// Writes down what the server said of defaults.
fn told(index: &mut Index, kind: &Kind, left: Result<(Value, Vec<Pattern>), String>) -> Option<Value> {
    match left {
        Ok((_, gone)) if gone.is_empty() => None,
        Ok((short, gone)) => {
            let names = index.defaults_left_out.entry(kind.shown()).or_default();
            names.extend(gone.iter().map(ToString::to_string));
            Some(short)
        }
        Err(why) => {
            index.defaults_kept.entry(kind.shown()).or_default().insert(why);
            None
        }
    }
}

fn fail(index: &mut Index, kind: &Kind, refused: Refused) {
    // It is listed in discovery, and nothing serves it: no object can be there.
    if matches!(refused.code, 404 | 405) {
        index.kinds_left_out.insert(kind.shown(), "the API lists it and does not serve it".to_owned());
        return;
    }
    let (group, name) = (kind.group.clone(), kind.kind.clone());
    index.failed.push(Failed { what: kind.shown(), why: refused.why, group, kind: name });
}
