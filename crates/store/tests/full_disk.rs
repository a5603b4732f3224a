//! A full disk refuses writes and loses nothing; when there is space again, writing goes on. Needs root, to mount.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use api::{Catalogue, Key, KindDef, KindId, Rules};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use store::{CommitError, Expect, Store, Write};

static CONFIG_MAPS: Rules<ConfigMap> = Rules::NONE;
const MAPS: KindId = KindId(0);

/// A file system of 8 MiB, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "shipmate-test"]).arg(dir.path()));
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg(self.path()));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {} (this test needs root)", String::from_utf8_lossy(&output.stderr));
}

fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::new(&[KindDef::namespaced(&CONFIG_MAPS)], &[]))
}

fn put(name: &str) -> Write {
    let value = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"},
        "data": {"k": "x".repeat(100_000)},
    });
    Write { key: Key::new(MAPS, "a", name), expect: Expect::Absent, value: Some(value) }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let disk = SmallDisk::mount();
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();
    let log = disk.path().join("log");
    let store = Store::open(&log, catalogue()).unwrap();

    let mut kept = Vec::new();
    let refused = loop {
        let name = format!("m{}", kept.len());
        match store.commit(vec![put(&name)]).await {
            Ok(_) => kept.push(name),
            Err(error) => break error,
        }
        assert!(kept.len() < 200, "the disk never filled up");
    };
    assert!(matches!(refused, CommitError::Io(_)), "{refused}");
    assert!(!kept.is_empty());
    assert_eq!(store.view().n_objects(MAPS), kept.len(), "a refused write is not shown");

    std::fs::remove_file(&ballast).unwrap();
    store.commit(vec![put("after")]).await.unwrap();
    kept.push("after".to_owned());
    drop(store);

    let view = Store::open(&log, catalogue()).unwrap().view();
    assert_eq!(view.n_objects(MAPS), kept.len(), "a refused write has come back");
    for name in kept {
        assert!(view.object(&Key::new(MAPS, "a", &name)).is_some(), "{name} is lost");
    }
}
