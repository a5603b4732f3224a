//! What was answered survives `kill -9` at any instant, and each commit is there whole or not at all.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use api::{Catalogue, Key, KindDef, KindId, Rules};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use store::{Expect, Store, Write};

static CONFIG_MAPS: Rules<ConfigMap> = Rules::NONE;
const MAPS: KindId = KindId(0);
const WRITERS: usize = 16;
/// Set in the process that writes until it is killed: the log's file.
const VICTIM: &str = "SHIPMATE_TEST_CRASH_LOG";

fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::new(&[KindDef::namespaced(&CONFIG_MAPS)], &[]))
}

fn put(name: &str) -> Write {
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}});
    Write { key: Key::new(MAPS, "a", name), expect: Expect::Absent, value: Some(value) }
}

/// Writes pairs for ever and prints each name once its pair is acknowledged.
fn write_until_killed(path: &Path, round: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let store = Store::open(path, catalogue()).unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, round) = (store.clone(), round.to_owned());
            runtime.spawn(async move {
                for n in 0_u64.. {
                    let name = format!("{round}-{writer}-{n}");
                    store.commit(vec![put(&format!("{name}-left")), put(&format!("{name}-right"))]).await.unwrap();
                    println!("acknowledged {name}");
                }
            })
        })
        .collect();
    for writer in writers {
        runtime.block_on(writer).unwrap();
    }
}

#[test]
fn an_acknowledged_write_survives_a_kill() {
    if let Ok(victim) = std::env::var(VICTIM) {
        let (path, round) = victim.split_once(' ').unwrap();
        return write_until_killed(Path::new(path), round);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut acknowledged = BTreeSet::new();
    for (round, kill_after) in [1_usize, 40, 333, 700].into_iter().enumerate() {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "an_acknowledged_write_survives_a_kill", "--nocapture"])
            .env(VICTIM, format!("{} {round}", path.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut killed = false;
        let mut heard = 0;
        for line in lines {
            let line = line.unwrap();
            // The test runner's own words may stand before ours on the first line.
            let Some((_, name)) = line.split_once("acknowledged ") else { continue };
            acknowledged.insert(name.to_owned());
            heard += 1;
            if heard == kill_after {
                victim.kill().unwrap();
                killed = true;
            }
        }
        victim.wait().unwrap();
        assert!(killed, "the writer ended by itself");

        let view = Store::open(&path, catalogue()).unwrap().view();
        let there = |name: String| view.object(&Key::new(MAPS, "a", &name)).is_some();
        for name in &acknowledged {
            assert!(
                there(format!("{name}-left")) && there(format!("{name}-right")),
                "{name} was acknowledged and is lost"
            );
        }
        for object in view.objects(MAPS) {
            let name = object.header.key.name.rsplit_once('-').unwrap().0;
            assert!(there(format!("{name}-left")) && there(format!("{name}-right")), "{name} is there by half");
        }
    }
}
