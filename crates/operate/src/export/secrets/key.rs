//! The key of an export's digests: random, one for each export directory, kept on this machine and in the export.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::SecretError;

/// Bytes of a key.
const LENGTH: usize = 32;
/// Bytes of a digest that are written: nobody can find another value that has the same.
const WRITTEN: usize = 16;

/// Makes digests of values: who has it can tell whether two values are the same, and not what they are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key([u8; LENGTH]);

impl Key {
    pub(super) fn random() -> Result<Self, SecretError> {
        let mut bytes = [0; LENGTH];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::Random)?;
        Ok(Self(bytes))
    }

    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the key is called; nothing can be learnt from it.
    pub(super) fn id(&self) -> String {
        self.code(&[b"id"])
    }

    /// A value's digest. It is about one place: the same value elsewhere has another one.
    pub(super) fn digest(&self, place: &str, value: &[u8]) -> String {
        self.code(&[b"value", place.as_bytes(), value])
    }

    /// Tells whether what is encrypted was changed.
    pub(super) fn seal(&self, digest: &str, encrypted: &[u8]) -> String {
        self.code(&[b"seal", digest.as_bytes(), encrypted])
    }

    fn code(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for part in parts {
            // With their lengths, so that no two lists of parts are one text.
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        URL_SAFE_NO_PAD.encode(&context.sign().as_ref()[..WRITTEN])
    }
}

/// Where this machine keeps keys.
#[derive(Clone, Debug)]
pub struct Keys(PathBuf);

impl Keys {
    /// Keys in a directory.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// `$XDG_STATE_HOME/shipmate/export-keys`, or that below `~/.local/state`. `None` without a home.
    pub fn of_user() -> Option<Self> {
        crate::change::state().map(|state| Self(state.join("export-keys")))
    }

    /// A key by its name.
    pub(super) fn find(&self, id: &str) -> Option<Key> {
        let text = fs::read_to_string(self.file(id)?).ok()?;
        let key = Key::of(&STANDARD.decode(text.trim()).ok()?)?;
        (key.id() == id).then_some(key)
    }

    /// Keeps a key where only its owner can read it.
    pub(super) fn keep(&self, key: &Key) -> Result<(), SecretError> {
        let Some(file) = self.file(&key.id()) else { return Ok(()) };
        let failed = |source| SecretError::Keep { path: file.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        let new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
        match new {
            Ok(mut new) => writeln!(new, "{}", STANDARD.encode(key.bytes())).map_err(failed),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.find(&key.id()).is_some() => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// The name comes from a file of somebody else's: it must not lead elsewhere.
    fn file(&self, id: &str) -> Option<PathBuf> {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (plain && !id.is_empty()).then(|| self.0.join(id))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_digest_is_of_one_value_in_one_place_by_one_key() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        assert_eq!(key.digest("a", b"b"), key.digest("a", b"b"));
        assert_ne!(key.digest("a", b"b"), key.digest("ab", b""));
        assert_ne!(key.digest("a", b"b"), key.digest("b", b"b"));
        assert_ne!(key.digest("a", b"b"), other.digest("a", b"b"));
        assert_ne!(key.id(), other.id());
    }

    #[test]
    fn keys_are_kept_for_their_owner_only() {
        let place = tempfile::tempdir().unwrap();
        let keys = Keys::at(place.path().join("keys"));
        let key = Key::random().unwrap();
        assert!(keys.find(&key.id()).is_none());
        keys.keep(&key).unwrap();
        keys.keep(&key).unwrap();
        assert!(keys.find(&key.id()) == Some(key.clone()));
        let file = place.path().join("keys").join(key.id());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(file, "broken").unwrap();
        assert!(keys.find(&key.id()).is_none() && keys.keep(&key).is_err());
        assert!(keys.find("../../etc/passwd").is_none() && keys.find("").is_none());
    }
}
