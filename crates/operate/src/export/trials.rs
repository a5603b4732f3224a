//! Objects made at random: what is cleaned stays clean, what is written is read, what is encrypted is decrypted.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::clean::clean;
use super::files::Export;
use super::secrets::{self, Access, Sealing, Vault};
use super::{Secrets, clean, yaml};

/// How many objects are tried.
const TRIALS: u64 = 400;

/// Numbers that look random, and are the same each time: a failure can be looked at again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn text(&mut self) -> String {
        const PARTS: &[&str] = &[
            "yes",
            "~",
            "null",
            "0x1",
            "1e3",
            "- ",
            ": ",
            "#",
            "\n",
            "\r\n",
            "\t",
            " ",
            "ü",
            "\u{85}",
            "\u{feff}",
            "'",
            "\"",
            "{",
            "[",
            "&",
            "*",
            "!",
            "%",
            "|",
            ">",
            "word",
            "a/b",
            "012",
            ".inf",
            "<<",
            "\u{0}",
            "\u{1f600}",
            "\\",
            "---",
        ];
        let count = self.below(6);
        (0..count).map(|_| self.pick(PARTS)).collect()
    }

    fn value(&mut self, deep: u64) -> Value {
        match self.below(if deep == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => (self.below(2) == 0).into(),
            2 => (i64::try_from(self.below(1 << 31)).unwrap() - (1 << 30)).into(),
            3 | 4 => self.text().into(),
            5 => (0..self.below(4)).map(|_| self.value(deep - 1)).collect(),
            _ => Value::Object(self.fields(deep - 1)),
        }
    }

    fn fields(&mut self, deep: u64) -> Map<String, Value> {
        (0..self.below(5)).map(|_| (self.text(), self.value(deep))).collect()
    }

    /// An object of a kind that is cleaned in its own way, with fields that the cluster keeps.
    fn object(&mut self) -> Value {
        let kind =
            self.pick(&["Pod", "Service", "Secret", "ConfigMap", "Namespace", "PersistentVolume", "ServiceAccount"]);
        let metadata = json!({"name": "a", "namespace": "b", "uid": "u", "labels": self.fields(0),
            "annotations": self.fields(0), "finalizers": self.value(1), "managedFields": self.value(2)});
        let ports = json!([{"port": 80, "nodePort": 30000}]);
        let mut spec = self.fields(3);
        spec.insert("ports".to_owned(), if self.below(2) == 0 { ports } else { self.value(2) });
        spec.insert("containers".to_owned(), self.value(3));
        spec.insert("volumes".to_owned(), self.value(2));
        json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec, "status": self.value(2)})
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut chance = Chance(1);
    for _ in 0..TRIALS {
        let object = chance.object();
        let text = yaml::write(&object);
        assert_eq!(yaml::read(&text).as_ref(), Ok(&object), "{text}");
        assert_eq!(yaml::write(&yaml::read(&text).unwrap()), text);
    }
}

#[test]
fn what_is_clean_stays_as_it_is() {
    let mut chance = Chance(2);
    for _ in 0..TRIALS {
        let mut once = chance.object();
        clean(&mut once, &mut BTreeSet::new());
        let mut twice = once.clone();
        clean(&mut twice, &mut BTreeSet::new());
        assert_eq!(once, twice);
        assert!(once["metadata"]["uid"].is_null() && once["status"].is_null());
    }
}

#[test]
fn what_is_encrypted_comes_back_and_is_seen_nowhere() {
    let identity = age::x25519::Identity::generate();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("identity");
    {
        use age::secrecy::ExposeSecret as _;
        std::fs::write(&path, identity.to_string().expose_secret()).unwrap();
    }
    let access = Access { identities: secrets::Identity::read(&path).unwrap(), keys: None };
    let sealing = Sealing { recipients: vec![identity.to_public().to_string()], access: access.clone() };
    let vault = Vault::open(&sealing, None).unwrap();
    let (mut chance, mut export, mut before) = (Chance(3), Export::default(), Vec::new());
    for number in 0..40 {
        let name = format!("secret-{number}");
        let mut data = Map::new();
        for _ in 0..chance.below(4) {
            let value = format!("planted {}", chance.text());
            data.insert(format!("key-{}", chance.below(9)), STANDARD.encode(value).into());
        }
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "b"},
            "data": data});
        let plain = secret.clone();
        vault.seal(&mut secret).unwrap();
        let text = yaml::write(&secret);
        // "planted " as base64 begins in one way.
        assert!(!text.contains("planted") && !text.contains(&STANDARD.encode("planted ")[..8]), "{text}");
        let mut omitted = plain.clone();
        clean::hide(&mut omitted, Secrets::Omit);
        assert!(!yaml::write(&omitted).contains(&STANDARD.encode("planted ")[..8]));
        export.objects.push((PathBuf::from(format!("{number}.yaml")), yaml::read(&text).unwrap()));
        before.push(plain);
    }
    export.index.encryption = Some(vault.close().unwrap());
    secrets::decrypt(&mut export, &access).unwrap();
    assert!(export.objects.iter().map(|(_, object)| object).eq(&before));
}
