//! Who may read an export's secrets, and who somebody is: recipients and identities of age.

use std::fs;
use std::path::Path;
use std::str::FromStr as _;

use age::x25519;

use super::SecretError;

/// Whose values can be decrypted: the private keys of a file.
#[derive(Clone)]
pub struct Identity(x25519::Identity);

impl Identity {
    /// Reads a file of identities, as `age-keygen` writes it.
    ///
    /// # Errors
    /// When it holds none, or one that can't be used; no line of it is in the message.
    pub fn read(path: &Path) -> Result<Vec<Self>, SecretError> {
        let text = text(path)?;
        let wrong = |why: &str| SecretError::People { path: path.to_owned(), why: why.to_owned() };
        let mut found = Vec::new();
        for (number, line) in lines(&text) {
            if line.starts_with("age-encryption.org/") || line.starts_with("-----BEGIN AGE") {
                return Err(wrong(
                    "it is protected by a passphrase: `age -d` makes an identity of it that can be used",
                ));
            }
            if line.starts_with("-----BEGIN") {
                return Err(wrong("it is no identity of age: `age-keygen` makes one"));
            }
            if line.starts_with("age1") {
                return Err(wrong(
                    "it holds a recipient, and no identity: name the file that begins with its creation",
                ));
            }
            let identity = x25519::Identity::from_str(line);
            found.push(Self(identity.map_err(|_| wrong(&format!("line {number} is no identity of age")))?));
        }
        if found.is_empty() {
            return Err(wrong("there is no identity in it"));
        }
        Ok(found)
    }

    #[cfg(test)]
    pub(super) fn generate() -> (Self, String) {
        let identity = x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        (Self(identity), recipient)
    }
}

/// Reads recipients: one itself, or a file of them.
///
/// # Errors
/// When it is neither. What was typed is not in the message: people mistake the one for the other.
pub fn recipients(text: &str) -> Result<Vec<String>, SecretError> {
    if text.to_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(SecretError::Recipient("that is an identity, which stays secret: name its recipient, age1…"));
    }
    if text.starts_with("ssh-") {
        return Err(SecretError::Recipient("keys of SSH can't be used: `age-keygen` makes a recipient"));
    }
    if text.starts_with("age1") {
        return Ok(vec![canonical(text).ok_or(SecretError::Recipient("it is misspelt, or a plugin's"))?]);
    }
    let path = Path::new(text);
    let content = self::text(path)?;
    let read = lines(&content).map(|(number, line)| {
        let why = || format!("line {number} is no recipient of age (age1…)");
        canonical(line).ok_or_else(|| SecretError::People { path: path.to_owned(), why: why() })
    });
    let found: Vec<String> = read.collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(SecretError::People { path: path.to_owned(), why: "there is no recipient in it".to_owned() });
    }
    Ok(found)
}

fn canonical(text: &str) -> Option<String> {
    x25519::Recipient::from_str(text).ok().map(|recipient| recipient.to_string())
}

fn text(path: &Path) -> Result<String, SecretError> {
    fs::read_to_string(path)
        .map_err(|error| SecretError::People { path: path.to_owned(), why: format!("it can't be read: {error}") })
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Encrypts to all of them.
pub(super) fn encrypt(recipients: &[x25519::Recipient], plain: &[u8]) -> Result<Vec<u8>, SecretError> {
    use std::io::Write as _;
    let all = recipients.iter().map(|one| -> &dyn age::Recipient { one });
    let encryptor = age::Encryptor::with_recipients(all).map_err(|_| SecretError::Encrypt)?;
    let mut encrypted = Vec::new();
    let written = encryptor.wrap_output(&mut encrypted).and_then(|mut writer| {
        writer.write_all(plain)?;
        writer.finish()
    });
    written.map_err(|_| SecretError::Encrypt)?;
    Ok(encrypted)
}

/// Recipients that were written by [`recipients`].
pub(super) fn known(names: &[String]) -> Result<Vec<x25519::Recipient>, SecretError> {
    let known = names.iter().map(|name| x25519::Recipient::from_str(name));
    known.collect::<Result<_, _>>().map_err(|_| SecretError::Recipient("it is misspelt, or a plugin's"))
}

/// Why something was not decrypted.
pub(super) enum Closed {
    /// It is for others.
    ForOthers,
    /// It is not what age wrote.
    Broken,
}

/// Decrypts what is for one of them.
pub(super) fn decrypt(identities: &[Identity], encrypted: &[u8]) -> Result<Vec<u8>, Closed> {
    use std::io::Read as _;
    let decryptor = age::Decryptor::new_buffered(encrypted).map_err(|_| Closed::Broken)?;
    let all = identities.iter().map(|one| -> &dyn age::Identity { &one.0 });
    let mut reader = decryptor.decrypt(all).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => Closed::ForOthers,
        _ => Closed::Broken,
    })?;
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).map_err(|_| Closed::Broken)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_identity_is_told_and_not_shown() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("identity");
        let cases = [
            ("age-encryption.org/v1\n", "passphrase"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nplanted\n", "no identity of age"),
            ("# a comment\n", "there is no identity"),
            ("AGE-SECRET-KEY-1PLANTED\n", "line 1 is no identity"),
            ("age1planted\n", "a recipient"),
        ];
        for (text, told) in cases {
            fs::write(&path, text).unwrap();
            let error = Identity::read(&path).err().unwrap().to_string();
            assert!(error.contains(told) && !error.to_lowercase().contains("planted"), "{error}");
        }
        assert!(Identity::read(&place.path().join("absent")).err().unwrap().to_string().contains("can't be read"));
    }

    #[test]
    fn recipients_come_by_name_or_in_a_file() {
        let place = tempfile::tempdir().unwrap();
        let (_, one) = Identity::generate();
        assert_eq!(recipients(&one).unwrap(), std::slice::from_ref(&one));
        let path = place.path().join("recipients");
        fs::write(&path, format!("# the team\n{one}\n\n")).unwrap();
        assert_eq!(recipients(path.to_str().unwrap()).unwrap(), [one]);
        for wrong in ["AGE-SECRET-KEY-1PLANTED", "ssh-ed25519 planted", "age1planted"] {
            let error = recipients(wrong).unwrap_err().to_string();
            assert!(!error.to_lowercase().contains("planted"), "{error}");
        }
    }
}
