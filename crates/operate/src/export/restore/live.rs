//! What the cluster has of the objects in the files, as far as it may be read.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::stream;
use kube::Client;
use serde_json::Value;

use super::{AT_ONCE, find};
use crate::export::ask::{self, Page, Refused};
use crate::export::clean::as_file;
use crate::export::compare::Live;
use crate::export::defaults::Defaults;
use crate::export::files::Key;
use crate::export::kinds::Kind;

/// Up to so many namespaces are listed one by one: then nothing is read that is not asked for.
const ONE_BY_ONE: usize = 4;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// Objects.
    pub(super) live: BTreeMap<Key, Live>,
    /// Of which it is not known whether they are there, and why.
    pub(super) unknown: BTreeMap<Key, String>,
}

/// Looks for all objects of the files. `told` hears of how many objects were read.
pub(super) async fn look(
    client: &Client,
    served: &[Kind],
    files: &BTreeMap<Key, Value>,
    mut told: impl FnMut(usize),
) -> Found {
    let mut wanted: BTreeMap<(&str, &str), BTreeSet<&Key>> = BTreeMap::new();
    for key in files.keys() {
        wanted.entry((&key.group, &key.kind)).or_default().insert(key);
    }
    let kinds = wanted.into_values().filter_map(|keys| Some((find(served, keys.first()?)?, keys)));
    let lists: Vec<_> = kinds.flat_map(|(kind, keys)| lists(&kind, &keys)).collect();
    let looking = Looking { client, files, defaults: Defaults::of(client) };
    let asked = lists.into_iter().map(|(kind, path, keys)| looking.read(kind, path, keys));
    let mut answers = stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    let (mut found, mut count) = (Found::default(), 0);
    while let Some(some) = answers.next().await {
        found.live.extend(some.live);
        found.unknown.extend(some.unknown);
        count += some.read;
        told(count);
    }
    drop(answers);
    found
}

/// The lists in which objects of a kind are found: one for all, or one for each namespace.
fn lists(kind: &Kind, keys: &BTreeSet<&Key>) -> Vec<(Kind, String, BTreeSet<Key>)> {
    let owned = |keys: &mut dyn Iterator<Item = &&Key>| keys.map(|key| (*key).clone()).collect::<BTreeSet<Key>>();
    let namespaces: BTreeSet<&str> = keys.iter().filter_map(|key| key.namespace.as_deref()).collect();
    if !kind.namespaced || namespaces.len() > ONE_BY_ONE {
        return vec![(kind.clone(), kind.path(None), owned(&mut keys.iter()))];
    }
    let of = |name: &str| owned(&mut keys.iter().filter(|key| key.namespace.as_deref() == Some(name)));
    namespaces.into_iter().map(|name| (kind.clone(), kind.path(Some(name)), of(name))).collect()
}

#[derive(Default)]
struct Part {
    live: BTreeMap<Key, Live>,
    unknown: BTreeMap<Key, String>,
    read: usize,
}

struct Looking<'a> {
    client: &'a Client,
    files: &'a BTreeMap<Key, Value>,
    defaults: Defaults<'a>,
}

impl Looking<'_> {
    /// Reads a list; whoever may not list may perhaps look at each.
    async fn read(&self, kind: Kind, path: String, keys: BTreeSet<Key>) -> Part {
        let mut part = Part::default();
        let mut pages = ask::pages(self.client, path, String::new());
        let mut refused = None;
        while let Some(page) = pages.next().await {
            match page {
                Ok(Page::Objects(objects)) => {
                    part.read += objects.len();
                    let known = objects.into_iter().map(|object| known(&kind, object));
                    for (key, live) in known.filter(|(key, _)| keys.contains(key)).collect::<Vec<_>>() {
                        let live = self.shortened(&kind, &key, live).await;
                        part.live.insert(key, live);
                    }
                }
                Ok(Page::Again) => part.live.clear(),
                Err(no) => refused = Some(no),
            }
        }
        match refused {
            None => {}
            // Discovery lists it and nothing serves it: no object can be there.
            Some(no) if matches!(no.code, 404 | 405) => {}
            Some(no) if no.code == 403 => self.each(&kind, keys, &mut part).await,
            Some(no) => part.unknown.extend(keys.into_iter().map(|key| (key, no.why.clone()))),
        }
        part
    }

    async fn each(&self, kind: &Kind, keys: BTreeSet<Key>, part: &mut Part) {
        let asked = keys.into_iter().map(|key| async move {
            let path = kind.path_of(&kind.api_version(), key.namespace.as_deref(), &key.name);
            let answer = ask::get(self.client, &path).await;
            (key, answer)
        });
        let mut answers = stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some((key, answer)) = answers.next().await {
            match answer {
                Ok(object) => {
                    let live = self.shortened(kind, &key, known(kind, object).1).await;
                    part.live.insert(key, live);
                }
                Err(Refused { code: 404, .. }) => {}
                Err(no) => drop(part.unknown.insert(key, no.why)),
            }
        }
    }

    /// The object with what it is without defaults, where the file could be that.
    async fn shortened(&self, kind: &Kind, key: &Key, mut live: Live) -> Live {
        if self.files.get(key).is_some_and(|file| *file != live.value) {
            live.short = self.defaults.leave_out(kind, &live.value).await.ok().map(|(short, _)| short);
        }
        live
    }
}

/// An object as the files would have it.
fn known(kind: &Kind, mut value: Value) -> (Key, Live) {
    kind.stamp(&mut value);
    let managed = value["metadata"]["managedFields"].take();
    let key = Key::of(&value);
    as_file(&mut value, key.is_secret());
    (key, Live { value, short: None, managed })
}
