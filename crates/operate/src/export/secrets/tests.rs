//! Values that are encrypted, read back, kept, and tampered with.

use serde_json::json;

use super::*;

const VALUE: &str = "aHVudGVy";

fn secret(namespace: &str, name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": data})
}

fn export(vault: Vault, objects: &[Value]) -> Export {
    let mut export = Export::default();
    for (number, object) in objects.iter().enumerate() {
        let mut object = object.clone();
        vault.seal(&mut object).unwrap();
        export.objects.push((PathBuf::from(format!("{number}.yaml")), object));
    }
    export.index.encryption = Some(vault.close().unwrap());
    export
}

struct Someone {
    place: tempfile::TempDir,
    identity: Identity,
    recipient: String,
}

fn someone() -> Someone {
    let (identity, recipient) = Identity::generate();
    Someone { place: tempfile::tempdir().unwrap(), identity, recipient }
}

impl Someone {
    fn sealing(&self) -> Sealing {
        let keys = Some(Keys::at(self.place.path().join("keys")));
        let access = Access { identities: Vec::new(), keys };
        Sealing { recipients: vec![self.recipient.clone()], access }
    }

    fn access(&self) -> Access {
        Access { identities: vec![self.identity.clone()], keys: None }
    }
}

#[test]
fn what_is_encrypted_is_read_back_by_those_whom_it_is_for() {
    let (one, other) = (someone(), someone());
    let objects = [secret("shop", "a", json!({"k": VALUE, "empty": ""})), secret("shop", "b", json!({"k": VALUE}))];
    let mut sealing = one.sealing();
    sealing.recipients.push(other.recipient.clone());
    let written = export(Vault::open(&sealing, None).unwrap(), &objects);
    let text = serde_json::to_string(&written.objects).unwrap();
    assert!(!text.contains(VALUE), "{text}");
    for access in [one.access(), other.access()] {
        let mut read = written.clone();
        decrypt(&mut read, &access).unwrap();
        assert!(read.objects.iter().map(|(_, object)| object).eq(&objects));
    }
    let mut read = written;
    let error = decrypt(&mut read, &someone().access()).unwrap_err().to_string();
    assert!(error.contains("none of theirs") && error.contains(&one.recipient), "{error}");
    let error = decrypt(&mut read, &Access::default()).unwrap_err().to_string();
    assert!(error.contains("2 secrets") && error.contains("--identity"), "{error}");
}

#[test]
fn what_did_not_change_stays_as_it_is() {
    let one = someone();
    let before = [secret("shop", "a", json!({"k": VALUE, "l": VALUE}))];
    let first = export(Vault::open(&one.sealing(), None).unwrap(), &before);
    let vault = Vault::open(&one.sealing(), Some(&first)).unwrap();
    assert_eq!(vault.anew(), None);
    let again = export(vault, &before);
    assert_eq!((&first.objects, &first.index), (&again.objects, &again.index));
    let after = [secret("shop", "a", json!({"k": VALUE, "l": "b3RoZXI="}))];
    let changed = export(Vault::open(&one.sealing(), Some(&first)).unwrap(), &after);
    assert_eq!(first.objects[0].1["data"]["k"], changed.objects[0].1["data"]["k"]);
    assert_ne!(first.objects[0].1["data"]["l"], changed.objects[0].1["data"]["l"]);
    // Elsewhere the key is not known: an identity opens it.
    let mut elsewhere = someone().sealing();
    elsewhere.recipients = vec![one.recipient.clone()];
    assert!(Vault::open(&elsewhere, Some(&first)).unwrap().anew().unwrap().contains("--identity"));
    elsewhere.access.identities = vec![one.identity.clone()];
    let same = export(Vault::open(&elsewhere, Some(&first)).unwrap(), &before);
    assert_eq!(first.objects, same.objects);
    let mut more = one.sealing();
    more.recipients.push(someone().recipient);
    let vault = Vault::open(&more, Some(&first)).unwrap();
    assert!(vault.anew().unwrap().contains("recipients"));
    assert_ne!(first.objects, export(vault, &before).objects);
}

#[test]
fn who_has_the_key_sees_which_value_differs() {
    let one = someone();
    let mut files = export(
        Vault::open(&one.sealing(), None).unwrap(),
        &[secret("shop", "a", json!({"same": VALUE, "other": VALUE, "gone": VALUE}))],
    );
    let live = secret("shop", "a", json!({"same": VALUE, "other": "bmV3"}));
    let key = files::Key::of(&live);
    let look = |of: &files::Key| (*of == key).then_some(&live);
    let mut blind = files.clone();
    assert_eq!(comparable(&mut files, &one.sealing().access, look).unwrap(), Compared::All);
    let data = &files.objects[0].1["data"];
    assert_eq!(data["same"], VALUE);
    assert!(data["other"] != "bmV3" && data["gone"] != VALUE && !data["gone"].is_null(), "{data}");
    assert_eq!(comparable(&mut blind, &Access::default(), look).unwrap(), Compared::Unknown(1));
    assert_eq!(blind.objects[0].1["data"]["other"], "bmV3");
}

#[test]
fn what_was_changed_is_noticed() {
    let one = someone();
    let objects = [secret("shop", "a", json!({"k": VALUE})), secret("shop", "b", json!({"k": VALUE}))];
    let written = export(Vault::open(&one.sealing(), None).unwrap(), &objects);
    let text = written.objects[0].1["data"]["k"].as_str().unwrap().to_owned();
    let mut parts: Vec<String> = text.split(':').map(str::to_owned).collect();
    let mut bytes = STANDARD.decode(&parts[3]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    parts[3] = STANDARD.encode(&bytes);
    let cases = [
        parts.join(":"),
        text[..text.len() - 8].to_owned(),
        "age:".to_owned(),
        // Another secret's.
        written.objects[1].1["data"]["k"].as_str().unwrap().to_owned(),
    ];
    for wrong in cases {
        let mut read = written.clone();
        read.objects[0].1["data"]["k"] = wrong.as_str().into();
        let error = decrypt(&mut read, &one.access()).unwrap_err().to_string();
        assert!(error.contains("0.yaml: data.k was changed"), "{wrong}: {error}");
        // An export heals it.
        let mut healed = export(Vault::open(&one.sealing(), Some(&read)).unwrap(), &objects);
        decrypt(&mut healed, &one.access()).unwrap();
        assert_eq!(healed.objects[0].1, objects[0]);
    }
    let mut read = written;
    read.index.encryption.as_mut().unwrap().key = "AAAA".to_owned();
    let error = decrypt(&mut read, &one.access()).unwrap_err().to_string();
    assert!(error.contains("_export.json: the key was changed"), "{error}");
}

#[test]
fn what_is_in_a_file_that_stays_must_be_readable() {
    let one = someone();
    let files = export(Vault::open(&one.sealing(), None).unwrap(), &[secret("shop", "a", json!({"k": VALUE}))]);
    let (path, object) = &files.objects[0];
    let vault = Vault::open(&one.sealing(), Some(&files)).unwrap();
    assert!(may_stay(path, object, &files, Some(&vault)).is_ok());
    assert!(may_stay(path, object, &files, None).is_err());
    assert!(may_stay(path, object, &files, Some(&Vault::open(&someone().sealing(), Some(&files)).unwrap())).is_err());
}
