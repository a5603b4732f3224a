//! What `--secrets` and `--identity` mean.

use std::path::PathBuf;

use anyhow::bail;
use operate::export::Secrets;
use operate::export::secrets::{Access, Identity, Keys, Sealing, recipients};

/// What was asked for, and whether it was said twice.
pub(super) struct Wish {
    pub(super) secrets: Secrets,
    pub(super) recipients: Vec<String>,
    pub(super) twice: bool,
}

/// Reads the values of `--secrets`. What was typed is not repeated in a message: it may be an identity by mistake.
pub(super) fn wish(values: &[String]) -> anyhow::Result<Wish> {
    let mut all = Vec::new();
    let (mut omit, mut plain) = (0, 0);
    for value in values {
        match value.as_str() {
            "omit" => omit += 1,
            "plain" => plain += 1,
            value => match value.strip_prefix("age:") {
                Some(text) => all.extend(recipients(text)?),
                None => bail!("--secrets is `omit`, `age:RECIPIENT` or `plain`"),
            },
        }
    }
    let secrets = match (omit, plain, all.is_empty()) {
        (_, 0, true) => Secrets::Omit,
        (0, _, true) => Secrets::Plain,
        (0, 0, false) => Secrets::Age,
        _ => bail!("secrets are either left out, or encrypted, or in the clear: --secrets says two of these"),
    };
    Ok(Wish { secrets, recipients: all, twice: plain > 1 })
}

/// What opens encrypted values.
pub(super) fn access(identities: &[PathBuf]) -> anyhow::Result<Access> {
    let mut all = Vec::new();
    for path in identities {
        all.extend(Identity::read(path)?);
    }
    Ok(Access { identities: all, keys: Keys::of_user() })
}

/// How values are encrypted.
pub(super) fn sealing(recipients: Vec<String>, identities: &[PathBuf]) -> anyhow::Result<Sealing> {
    Ok(Sealing { recipients, access: access(identities)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_asked_for_in_one_way() {
        let wish = |values: &[&str]| wish(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        assert_eq!(wish(&["omit"]).unwrap().secrets, Secrets::Omit);
        assert!(!wish(&["plain"]).unwrap().twice && wish(&["plain", "plain"]).unwrap().twice);
        for wrong in [&["plain", "omit"][..], &["PLANTED"], &["age:AGE-SECRET-KEY-1PLANTED"], &["age:ssh-rsa PLANTED"]]
        {
            let error = wish(wrong).err().unwrap().to_string();
            assert!(!error.contains("PLANTED"), "{error}");
        }
    }
}
