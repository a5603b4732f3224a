//! What readers, writers and watchers of the log rely on.

use std::sync::Arc;

use api::{Catalogue, Key, KindDef, KindId, LogType, Rules};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use serde_json::json;
use store::{CommitError, Expect, Store, Write};

static CONFIG_MAPS: Rules<ConfigMap> = Rules::NONE;
static NAMESPACES: Rules<Namespace> = Rules::NONE;
const MAPS: KindId = KindId(0);
const SPACES: KindId = KindId(1);

fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::new(&[KindDef::namespaced(&CONFIG_MAPS), KindDef::cluster(&NAMESPACES)], &[]))
}

fn put(name: &str, expect: Expect, text: &str) -> Write {
    let value = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a", "uid": name}, "data": {"k": text},
    });
    Write { key: Key::new(MAPS, "a", name), expect, value: Some(value) }
}

fn namespace(name: &str) -> Write {
    let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    Write { key: Key::new(SPACES, "", name), expect: Expect::Absent, value: Some(value) }
}

fn remove(name: &str) -> Write {
    Write { key: Key::new(MAPS, "a", name), expect: Expect::Any, value: None }
}

#[tokio::test]
async fn an_expectation_that_does_not_hold_writes_nothing() {
    let store = Store::in_memory(catalogue()).unwrap();
    let first = store.commit(vec![put("x", Expect::Absent, "1")]).await.unwrap();
    let at = first[0].header.revision;

    let exists = store.commit(vec![put("y", Expect::Absent, "1"), put("x", Expect::Absent, "2")]).await;
    assert!(matches!(exists, Err(CommitError::Exists(object)) if *object.header.key.name == *"x"));
    let stale = store.commit(vec![put("x", Expect::Revision(at + 7), "2")]).await;
    assert!(matches!(stale, Err(CommitError::Conflict(_))));
    let missing = store.commit(vec![put("z", Expect::Revision(1), "2")]).await;
    assert!(matches!(missing, Err(CommitError::Missing(_))));
    assert!(matches!(store.commit(vec![remove("z")]).await, Err(CommitError::Missing(_))));

    let view = store.view();
    assert_eq!((view.revision(), view.n_objects(MAPS)), (at, 1));
    let second = store.commit(vec![put("x", Expect::Revision(at), "2")]).await.unwrap();
    assert_eq!(second[0].value()["metadata"]["resourceVersion"], json!((at + 1).to_string()));
}

#[tokio::test]
async fn a_reopened_log_shows_what_was_written_and_counts_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let store = Store::open(&path, catalogue()).unwrap();
    store.commit(vec![put("x", Expect::Absent, "1"), put("y", Expect::Absent, "1"), namespace("a")]).await.unwrap();
    store.commit(vec![remove("y")]).await.unwrap();
    let before = store.view();
    assert!(matches!(Store::open(&path, catalogue()).err(), Some(store::OpenError::InUse { .. })));
    drop(store);

    let store = Store::open(&path, catalogue()).unwrap();
    let after = store.view();
    assert_eq!(after.revision(), before.revision());
    let names: Vec<_> = after.objects_in(MAPS, "a").map(|object| object.header.key.name.to_string()).collect();
    assert_eq!(names, ["x"]);
    assert_eq!(after.get::<ConfigMap>("a", "x"), before.get::<ConfigMap>("a", "x"));
    let next = store.commit(vec![put("z", Expect::Absent, "1")]).await.unwrap();
    assert_eq!(next[0].header.revision, before.revision() + 1);
    assert!(store.watch(MAPS, before.revision() - 1).is_err(), "history before the restart is gone");
}

#[tokio::test]
async fn a_file_that_is_no_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, "not a log, but long enough to be looked at".repeat(400)).unwrap();
    let refused = Store::open(&path, catalogue()).err().unwrap();
    assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_misses_nothing_while_many_write() {
    const WRITERS: usize = 8;
    const EACH: usize = 50;
    let store = Store::in_memory(catalogue()).unwrap();
    let mut cursor = store.watch(MAPS, store.view().revision()).unwrap();
    let mut follow = store.follow();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    let name = format!("{writer}-{n}");
                    store.commit(vec![put(&name, Expect::Absent, "1"), namespace(&format!("n{name}"))]).await.unwrap();
                    if n % 2 == 0 {
                        store.commit(vec![remove(&name)]).await.unwrap();
                    }
                }
            })
        })
        .collect();

    let wanted = WRITERS * (EACH + EACH / 2);
    let mut seen = Vec::new();
    while seen.len() < wanted {
        seen.extend(cursor.next().await.unwrap());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(seen.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    let deleted = seen.iter().filter(|entry| entry.kind == LogType::Deleted).count();
    assert_eq!(deleted, WRITERS * EACH / 2);
    assert_eq!(cursor.progress(), store.view().revision());

    let mut followed = 0;
    while followed < wanted + WRITERS * EACH {
        followed += follow.next().await.unwrap().len();
    }
    assert_eq!(followed, wanted + WRITERS * EACH);
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_so() {
    let store = Store::in_memory(catalogue()).unwrap();
    let mut cursor = store.watch(MAPS, store.view().revision()).unwrap();
    let mut follow = store.follow();
    let large = "x".repeat(1 << 20);
    for n in 0..12 {
        store.commit(vec![put("x", Expect::Any, &format!("{large}{n}"))]).await.unwrap();
    }
    assert!(cursor.next().await.is_err());
    assert!(follow.next().await.is_err());
    store.commit(vec![put("x", Expect::Any, "small")]).await.unwrap();
    assert_eq!(follow.next().await.unwrap().len(), 1, "after a resync, following goes on");
}

#[tokio::test]
async fn an_old_view_is_kept_for_a_chunked_list() {
    let store = Store::in_memory(catalogue()).unwrap();
    store.commit(vec![put("x", Expect::Absent, "1")]).await.unwrap();
    let view = store.view();
    store.pin(view.clone());
    store.commit(vec![remove("x")]).await.unwrap();
    assert_eq!(store.view_at(view.revision()).unwrap().n_objects(MAPS), 1);
    assert_eq!(store.view_at(store.view().revision()).unwrap().n_objects(MAPS), 0);
    assert!(store.view_at(view.revision() - 1).is_none());
}
