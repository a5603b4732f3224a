//! What holds for every object: tried on many that are made up, the same ones in each run.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use crate::export::clean::clean;
use crate::export::compare::{Live, differences};
use crate::export::files::Key;
use crate::export::restore::decide::{prepared, turns};
use crate::export::restore::{Action, Mapping, decide, rank};
use crate::export::yaml;

const OBJECTS: u64 = 400;

/// Kinds that are cleaned each in its own way, and one that nobody knows.
const KINDS: &[(&str, &str)] = &[
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "Pod"),
    ("v1", "PersistentVolume"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("example.com/v1", "Widget"),
];
const WORDS: &[&str] = &[
    "name",
    "spec",
    "template",
    "labels",
    "selector",
    "ports",
    "port",
    "nodePort",
    "clusterIP",
    "volumeName",
    "claimRef",
    "uid",
    "namespace",
    "namespaces",
    "subjects",
    "kind",
    "data",
    "value",
    "a",
    "b/c",
    "x.y",
];

struct Made(StdRng);

impl Made {
    fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }

    /// Anything but `null`: that is how a merge patch takes away.
    fn value(&mut self, depth: u32) -> Value {
        match self.0.random_range(0..if depth == 0 { 4 } else { 7 }) {
            0 => self.0.random_range(0..40_000).into(),
            1 => self.0.random_bool(0.5).into(),
            2 | 3 => self.pick(&["shop", "web", "None", "10.96.0.7", "", "yes", "a\nb", "ü", "0x1"]).into(),
            4 => (0..self.0.random_range(0..3)).map(|_| self.value(depth - 1)).collect(),
            _ => Value::Object(self.fields(depth - 1)),
        }
    }

    fn fields(&mut self, depth: u32) -> Map<String, Value> {
        let count = self.0.random_range(1..4);
        (0..count).map(|_| (self.pick(WORDS).to_owned(), self.value(depth))).collect()
    }

    /// As a server would have it.
    fn object(&mut self, key: &Key) -> Value {
        let version = KINDS.iter().find(|(_, kind)| *kind == key.kind).unwrap().0;
        let mut object = json!({"apiVersion": version, "kind": key.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": self.value(0), "generation": 3,
                "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "7", "managedFields": [],
                "annotations": {"deployment.kubernetes.io/revision": "3"}},
            "status": self.value(2)});
        for _ in 0..self.0.random_range(1..3) {
            let (name, value) = (self.pick(&["spec", "rules", "subjects", "immutable"]), self.value(3));
            object[name] = value;
        }
        for (map, chance) in [("data", 0.5), ("spec", 0.7)] {
            if self.0.random_bool(chance) {
                object[map] = Value::Object(self.fields(3));
            }
        }
        if self.0.random_bool(0.5) {
            object["metadata"]["labels"] = json!({self.pick(WORDS): "x"});
        }
        object
    }
}

fn key(made: &mut Made) -> Key {
    let (version, kind) = made.pick(KINDS);
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Key { namespace: Some("shop".to_owned()), group: group.to_owned(), kind: kind.to_owned(), name: "web".to_owned() }
}

fn cleaned(object: &Value) -> Value {
    let mut object = object.clone();
    clean(&mut object, &mut BTreeSet::new());
    object
}

fn live(object: &Value) -> Live {
    Live { value: cleaned(object), short: None, managed: Value::Null }
}

#[test]
fn what_was_exported_is_restored_onto_itself_by_doing_nothing() {
    for seed in 0..OBJECTS {
        let mut made = Made::of(seed);
        let key = key(&mut made);
        let object = made.object(&key);
        let file = yaml::read(&yaml::write(&cleaned(&object))).unwrap();
        assert_eq!(decide(&key, &file, Some(&live(&object))), Action::Nothing, "seed {seed}: {object:#}");
        // A raw export keeps everything, and is restored as if it did not.
        assert_eq!(decide(&key, &object, Some(&live(&object))), Action::Nothing, "seed {seed}, raw: {object:#}");
        assert_eq!(cleaned(&file), file, "seed {seed}: what is clean stays as it is");
    }
}

#[test]
fn a_change_leads_to_what_the_file_says_and_nowhere_else() {
    let mut changed = 0;
    for seed in 0..OBJECTS {
        let mut made = Made::of(seed);
        let key = key(&mut made);
        let (file, there) = (cleaned(&made.object(&key)), live(&made.object(&key)));
        match decide(&key, &file, Some(&there)) {
            Action::Nothing => {}
            Action::Change { patch, .. } => {
                changed += 1;
                let mut after = there.value.clone();
                json_patch::merge(&mut after, &patch);
                let left = differences(&key, &prepared(&key, &file), &after, &Value::Null);
                assert_eq!(left, [], "seed {seed}: {patch:#}");
                assert_eq!(decide(&key, &file, Some(&Live { value: after, ..live(&file) })), Action::Nothing);
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(changed > OBJECTS / 2, "only {changed} were different");
}

#[test]
fn mapping_there_and_back_is_the_same() {
    let mapping = |pairs: &[(&str, &str)]| {
        let namespaces: BTreeMap<String, String> =
            pairs.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
        Mapping { namespaces, ..Mapping::default() }
    };
    let (there, back) = (mapping(&[("shop", "copy")]), mapping(&[("copy", "shop")]));
    let exchange = mapping(&[("shop", "web"), ("web", "shop")]);
    let mut moved = 0;
    for seed in 0..OBJECTS {
        let mut made = Made::of(seed);
        let key = key(&mut made);
        let object = cleaned(&made.object(&key));
        let mut mapped = object.clone();
        there.apply(&mut mapped);
        moved += u64::from(mapped != object);
        assert_eq!(mapped["metadata"]["namespace"], "copy", "seed {seed}");
        assert_eq!(mapped["data"], object["data"], "seed {seed}: text is left alone");
        back.apply(&mut mapped);
        assert_eq!(mapped, object, "seed {seed}");
        for _ in 0..2 {
            exchange.apply(&mut mapped);
        }
        assert_eq!(mapped, object, "seed {seed}");
    }
    assert_eq!(moved, OBJECTS);
}

#[test]
fn nothing_has_its_turn_before_its_owners() {
    for seed in 0..OBJECTS {
        let mut made = Made::of(seed);
        let keys: BTreeSet<Key> = (0..6).map(|number| Key { name: format!("k{number}"), ..key(&mut made) }).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        // Each is owned by some of those before it.
        let owners: BTreeMap<Key, Vec<Key>> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| (key.clone(), keys[..at].iter().filter(|_| made.0.random_bool(0.3)).cloned().collect()))
            .collect();
        let turns = turns(&owners);
        for (key, owners) in &owners {
            assert!(turns[key].0 >= rank(key), "seed {seed}: {key}");
            assert!(
                owners.iter().all(|owner| turns[owner] < turns[key]),
                "seed {seed}: {key} of {owners:?}: {turns:?}"
            );
        }
    }
}
