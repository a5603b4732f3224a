//! Secrets' values in files, encrypted to people with age, each with a digest under a key.
//!
//! age encrypts the same value to other bytes each time. The digest tells that a value is the same, so what was written
//! stays as it is; a second digest, over what is encrypted, tells that nobody changed it. The key of the digests is
//! random, one for each export: encrypted in `_export.json`, and on the machine that made it. Digests hold the place of a
//! value, so none can be passed off as another's. A plain value is in memory only.

mod key;
mod people;

use std::collections::HashMap;
use std::path::PathBuf;

use age::x25519::Recipient;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{self, Export};
use key::Key;
use people::Closed;

pub use key::Keys;
pub use people::{Identity, recipients};

/// How an encrypted value begins. No base64 does, so that no API takes it for a value.
const MARK: &str = "age:";

/// Why encrypted values can't be written or read. No value is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A recipient is none.
    #[error("a recipient for secrets can't be used: {0}")]
    Recipient(&'static str),
    /// Nobody is named.
    #[error("for whom are secrets encrypted? name somebody with --secrets age:RECIPIENT")]
    Nobody,
    /// A file of identities or recipients can't be used.
    #[error("{path}: {why}")]
    People {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody is there who could decrypt.
    #[error("the values of {count} secrets are encrypted to {to}: name one's identity with --identity FILE")]
    NoIdentity {
        /// Of how many.
        count: usize,
        /// To whom.
        to: String,
    },
    /// The identity is another's.
    #[error("secrets are encrypted to {to}, and the identity is none of theirs: name another with --identity FILE")]
    OtherIdentity {
        /// To whom.
        to: String,
    },
    /// Something was changed by somebody who does not have the key.
    #[error("{path}: {what} was changed since it was encrypted: take the file from a backup, or export again")]
    Tampered {
        /// The file.
        path: PathBuf,
        /// What in it.
        what: String,
    },
    /// The value is no base64.
    #[error("a value of secret {0} is no base64")]
    NoBase64(String),
    /// A file of an earlier export can't stay.
    #[error(
        "{path} would stay, because secrets could not all be read now, and it is encrypted with a key that this export does \
         not use: export to another directory, or with the rights to read secrets"
    )]
    Stays {
        /// The file.
        path: PathBuf,
    },
    /// There is no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// age refused.
    #[error("a value could not be encrypted")]
    Encrypt,
    /// The key can't be kept.
    #[error("keep the key of the export in {path}: {source}")]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// For whom values of an export are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Encryption {
    /// Recipients of age.
    pub recipients: Vec<String>,
    /// What the key of the digests is called.
    pub key_id: String,
    /// That key, encrypted.
    pub key: String,
}

/// With what encrypted values are opened.
#[derive(Clone, Default)]
pub struct Access {
    /// Private keys.
    pub identities: Vec<Identity>,
    /// Keys of exports that were made on this machine.
    pub keys: Option<Keys>,
}

/// How values are encrypted, and what opens those of an earlier export.
#[derive(Clone, Default)]
pub struct Sealing {
    /// For whom.
    pub recipients: Vec<String>,
    /// What is known here.
    pub access: Access,
}

/// Encrypts values on their way into files.
pub(super) struct Vault {
    recipients: Vec<Recipient>,
    encryption: Encryption,
    key: Key,
    keys: Option<Keys>,
    /// What the earlier export has for each place.
    earlier: HashMap<String, String>,
    /// Why everything is encrypted anew.
    anew: Option<&'static str>,
}

impl Vault {
    /// Goes on with the key of an earlier export, if it is for the same people and known here.
    pub(super) fn open(sealing: &Sealing, earlier: Option<&Export>) -> Result<Self, SecretError> {
        let mut names = sealing.recipients.clone();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Err(SecretError::Nobody);
        }
        let recipients = people::known(&names)?;
        let keys = sealing.access.keys.clone();
        let old = earlier.and_then(|export| export.index.encryption.clone());
        let known = old.as_ref().and_then(|old| known_key(old, &sealing.access));
        let anew = match (&old, &known) {
            (Some(old), _) if old.recipients != names => Some("the recipients are others than before"),
            (Some(_), None) => Some("this machine does not know the key of the earlier export (--identity opens it)"),
            _ => None,
        };
        if let (None, Some(encryption), Some(key)) = (anew, old, known) {
            let earlier = earlier.map(sealed).unwrap_or_default();
            return Ok(Self { recipients, encryption, key, keys, earlier, anew });
        }
        let key = Key::random()?;
        let encrypted = STANDARD.encode(people::encrypt(&recipients, key.bytes())?);
        let encryption = Encryption { recipients: names, key_id: key.id(), key: encrypted };
        Ok(Self { recipients, encryption, key, keys, earlier: HashMap::new(), anew })
    }

    /// Encrypts a secret's values in place.
    pub(super) fn seal(&self, secret: &mut Value) -> Result<(), SecretError> {
        let key = files::Key::of(secret);
        let Some(data) = secret.get_mut("data").and_then(Value::as_object_mut) else { return Ok(()) };
        for (name, value) in data {
            let Some(text) = value.as_str() else { continue };
            let plain = STANDARD.decode(text).map_err(|_| SecretError::NoBase64(key.to_string()))?;
            *value = self.sealed(&place(&key, name), &plain)?.into();
        }
        Ok(())
    }

    fn sealed(&self, place: &str, plain: &[u8]) -> Result<String, SecretError> {
        let digest = self.key.digest(place, plain);
        if let Some(old) = self.earlier.get(place)
            && Sealed::read(old).is_some_and(|old| old.digest == digest && old.is_whole(&self.key))
        {
            return Ok(old.clone());
        }
        let encrypted = people::encrypt(&self.recipients, plain)?;
        let seal = self.key.seal(&digest, &encrypted);
        Ok(format!("{MARK}{digest}:{seal}:{}", STANDARD.encode(encrypted)))
    }

    /// Why everything is encrypted anew, if it is.
    pub(super) fn anew(&self) -> Option<&'static str> {
        self.anew
    }

    /// Keeps the key on this machine; gives what belongs into `_export.json`.
    pub(super) fn close(self) -> Result<Encryption, SecretError> {
        if let Some(keys) = &self.keys {
            keys.keep(&self.key)?;
        }
        Ok(self.encryption)
    }
}

/// Whether a file that stays can be read with the key of this export.
pub(super) fn may_stay(
    path: &std::path::Path,
    object: &Value,
    old: &Export,
    vault: Option<&Vault>,
) -> Result<(), SecretError> {
    let same = vault.is_some_and(|vault| old.index.encryption.as_ref() == Some(&vault.encryption));
    match has_sealed(object) && !same {
        true => Err(SecretError::Stays { path: path.to_owned() }),
        false => Ok(()),
    }
}

fn known_key(encryption: &Encryption, access: &Access) -> Option<Key> {
    let local = access.keys.as_ref().and_then(|keys| keys.find(&encryption.key_id));
    local.or_else(|| decrypted_key(encryption, access).ok())
}

fn decrypted_key(encryption: &Encryption, access: &Access) -> Result<Key, Closed> {
    let encrypted = STANDARD.decode(&encryption.key).map_err(|_| Closed::Broken)?;
    let plain = people::decrypt(&access.identities, &encrypted)?;
    Key::of(&plain).filter(|key| key.id() == encryption.key_id).ok_or(Closed::Broken)
}

/// Where a value is.
fn place(key: &files::Key, name: &str) -> String {
    // None of them can hold a zero.
    format!("{}\0{}\0{name}", key.namespace.as_deref().unwrap_or_default(), key.name)
}

/// An encrypted value, taken apart.
struct Sealed<'a> {
    digest: &'a str,
    seal: &'a str,
    encrypted: Vec<u8>,
}

impl<'a> Sealed<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix(MARK)?.splitn(3, ':');
        let (digest, seal, encrypted) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { digest, seal, encrypted: STANDARD.decode(encrypted).ok()? })
    }

    fn is_whole(&self, key: &Key) -> bool {
        key.seal(self.digest, &self.encrypted) == self.seal
    }
}

fn is_sealed(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(MARK))
}

fn has_sealed(object: &Value) -> bool {
    let key = files::Key::of(object);
    key.is_secret() && object["data"].as_object().is_some_and(|data| data.values().any(is_sealed))
}

fn sealed(export: &Export) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for (_, object) in export.objects.iter().filter(|(_, object)| has_sealed(object)) {
        let key = files::Key::of(object);
        for (name, value) in object["data"].as_object().into_iter().flatten() {
            if let Some(text) = value.as_str() {
                found.insert(place(&key, name), text.to_owned());
            }
        }
    }
    found
}

/// How many secrets of an export are encrypted, among those in namespaces that count.
pub fn count(export: &Export, counts: impl Fn(&str) -> bool) -> usize {
    let of = |object: &Value| counts(object["metadata"]["namespace"].as_str().unwrap_or_default());
    export.objects.iter().filter(|(_, object)| has_sealed(object) && of(object)).count()
}

/// Decrypts all values of an export, in memory.
///
/// # Errors
/// When there is no identity, it is another's, or a file was changed.
pub fn decrypt(export: &mut Export, access: &Access) -> Result<(), SecretError> {
    let count = count(export, |_| true);
    if count == 0 {
        return Ok(());
    }
    let tampered = |path: PathBuf, what: &str| SecretError::Tampered { path, what: what.to_owned() };
    let index = || PathBuf::from(super::INDEX);
    let encryption =
        export.index.encryption.clone().ok_or_else(|| tampered(index(), "for whom secrets are encrypted"))?;
    let to = || encryption.recipients.join(", ");
    if access.identities.is_empty() {
        return Err(SecretError::NoIdentity { count, to: to() });
    }
    let key = decrypted_key(&encryption, access).map_err(|closed| match closed {
        Closed::ForOthers => SecretError::OtherIdentity { to: to() },
        Closed::Broken => tampered(index(), "the key"),
    })?;
    each(export, |path, place, name, text| {
        let changed = || tampered(path.to_owned(), &format!("data.{name}"));
        let sealed = Sealed::read(text).filter(|sealed| sealed.is_whole(&key)).ok_or_else(changed)?;
        let plain = people::decrypt(&access.identities, &sealed.encrypted).map_err(|_| changed())?;
        if key.digest(place, &plain) != sealed.digest {
            return Err(changed());
        }
        Ok(STANDARD.encode(plain))
    })
}

/// What was found out about encrypted values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Which are the same.
    All,
    /// Nothing about this many secrets: neither key nor identity is there.
    Unknown(usize),
}

/// Puts values into files by which they can be compared with a cluster: its own where they are the same, and something
/// else where they are not. `live` gives the cluster's objects.
///
/// # Errors
/// When an identity is another's, or a file was changed.
pub fn comparable<'a>(
    export: &mut Export,
    access: &Access,
    live: impl Fn(&files::Key) -> Option<&'a Value>,
) -> Result<Compared, SecretError> {
    if !access.identities.is_empty() {
        return decrypt(export, access).map(|()| Compared::All);
    }
    let count = count(export, |_| true);
    let key = export.index.encryption.as_ref().and_then(|encryption| known_key(encryption, access));
    each(export, |path, place, name, text| {
        let mut parts = place.split('\0');
        let (namespace, secret) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let of = files::Key {
            namespace: Some(namespace.to_owned()),
            group: String::new(),
            kind: "Secret".to_owned(),
            name: secret.to_owned(),
        };
        let there = live(&of).and_then(|live| live["data"][name].as_str());
        let Some(key) = &key else { return Ok(there.unwrap_or_default().to_owned()) };
        let changed = || SecretError::Tampered { path: path.to_owned(), what: format!("data.{name}") };
        let sealed = Sealed::read(text).filter(|sealed| sealed.is_whole(key)).ok_or_else(changed)?;
        let plain = there.and_then(|there| STANDARD.decode(there).ok());
        let same = plain.is_some_and(|plain| key.digest(place, &plain) == sealed.digest);
        Ok(there.filter(|_| same).map_or_else(|| STANDARD.encode(sealed.digest), str::to_owned))
    })?;
    Ok(if key.is_none() && count > 0 { Compared::Unknown(count) } else { Compared::All })
}

/// Replaces each encrypted value; `what` gets the file, the place, the name and the text.
fn each(
    export: &mut Export,
    what: impl Fn(&std::path::Path, &str, &str, &str) -> Result<String, SecretError>,
) -> Result<(), SecretError> {
    for (path, object) in &mut export.objects {
        let key = files::Key::of(object);
        if !key.is_secret() {
            continue;
        }
        for (name, value) in object.get_mut("data").and_then(Value::as_object_mut).into_iter().flatten() {
            if let Some(text) = value.as_str().filter(|text| text.starts_with(MARK)) {
                *value = what(path, &place(&key, name), name, text)?.into();
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
