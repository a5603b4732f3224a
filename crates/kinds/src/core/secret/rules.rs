//! Types of secrets and the keys that they promise. Values never appear in an error.

use api::{FieldErrors, Path, names};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use crate::checks;
use crate::core::config_map::{SIZE_MAX, immutable};
use crate::value::{default_text, object, put, remove};

/// A secret is of some type.
pub fn defaults(secret: &mut Value) {
    default_text(secret, "type", "Opaque");
}

/// `stringData` is a way to write only: its values go to `data`, as Base64.
pub fn prepare(secret: &mut Value, _: Option<&Value>) {
    let Some(Value::Object(texts)) = remove(secret, "stringData") else { return };
    let Some(data) = object(secret, "data") else { return };
    for (key, text) in texts {
        if let Some(text) = text.as_str() {
            put(data, key.as_str(), checks::json(&k8s_openapi::ByteString(text.as_bytes().to_vec())));
        }
    }
}

/// Reports everything that is wrong.
pub fn validate(secret: &Secret, old: Option<&Secret>, errors: &mut FieldErrors) {
    if let Some(old) = old {
        let path = Path::new("type");
        errors.immutable(&path, &secret.type_, &old.type_, secret.type_.as_deref());
        if old.immutable == Some(true) {
            immutable(secret.immutable, "data", secret.data != old.data, errors);
        }
    }
    let path = Path::new("data");
    let mut size = 0;
    for (key, value) in secret.data.iter().flatten() {
        checks::name(errors, &path.key(key), key, names::config_key);
        size += value.0.len();
    }
    if size > SIZE_MAX {
        errors.too_long(&path, SIZE_MAX);
    }
    promised_keys(secret, &path, errors);
}

fn promised_keys(secret: &Secret, path: &Path, errors: &mut FieldErrors) {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    let value = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let mut require = |key: &str, there: bool| {
        if !there {
            errors.required(&path.key(key), "");
        }
        there
    };
    match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let account = secret.metadata.annotations.as_ref().and_then(|all| all.get(ACCOUNT));
            if account.is_none_or(String::is_empty) {
                errors.required(&Path::new("metadata").child("annotations").key(ACCOUNT), "");
            }
        }
        kind @ ("kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson") => {
            let key = if kind.ends_with("json") { ".dockerconfigjson" } else { ".dockercfg" };
            if require(key, value(key).is_some()) {
                let parsed = serde_json::from_slice::<Map<String, Value>>(value(key).unwrap_or_default());
                if let Err(why) = parsed {
                    errors.invalid(&path.key(key), "<secret contents redacted>", &why.to_string());
                }
            }
        }
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            require("username", false);
            require("password", false);
        }
        "kubernetes.io/ssh-auth" => {
            require("ssh-privatekey", value("ssh-privatekey").is_some_and(|key| !key.is_empty()));
        }
        "kubernetes.io/tls" => {
            require("tls.crt", value("tls.crt").is_some());
            require("tls.key", value("tls.key").is_some());
        }
        _ => {}
    }
}
