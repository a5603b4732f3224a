//! What certificates and tokens of a kubeconfig tell of themselves, and which plugins are missing.

use std::ffi::OsString;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use doctor::{Item, ItemKind, Origin};
use kube::config::{AuthInfo, Kubeconfig};
use serde_json::{Map, Value};

use super::said;
use crate::certificate;

/// Claims of a token that are no secret and say whether it still counts.
const CLAIMS: [&str; 5] = ["iss", "aud", "iat", "nbf", "exp"];

/// Dates of the certificates and tokens of a file.
pub(super) fn of(origin: &str, file: &Path, text: &str) -> Vec<Item> {
    let Ok(kubeconfig) = Kubeconfig::from_yaml(text) else { return Vec::new() };
    let directory = file.parent().unwrap_or(Path::new("."));
    let mut items = Vec::new();
    for (index, named) in kubeconfig.auth_infos.iter().enumerate() {
        let Some(user) = &named.auth_info else { continue };
        let place = |field: &str| format!("users[{index}].user.{field} of {origin}");
        let inline = user.client_certificate_data.as_deref();
        if let Some((field, pem)) = pem(inline, user.client_certificate.as_deref(), "client-certificate", directory) {
            items.extend(dates(&place(&field), &pem));
        }
        items.extend(token(user, directory).and_then(|token| claims(&place("token"), &token)));
    }
    for (index, named) in kubeconfig.clusters.iter().enumerate() {
        let Some(cluster) = &named.cluster else { continue };
        let inline = cluster.certificate_authority_data.as_deref();
        let path = cluster.certificate_authority.as_deref();
        if let Some((field, pem)) = pem(inline, path, "certificate-authority", directory) {
            items.extend(dates(&format!("clusters[{index}].cluster.{field} of {origin}"), &pem));
        }
    }
    items
}

/// A certificate in the file or beside it.
fn pem(inline: Option<&str>, path: Option<&str>, field: &str, directory: &Path) -> Option<(String, Vec<u8>)> {
    match (inline, path) {
        (Some(data), _) => {
            let data: String = data.split_whitespace().collect();
            Some((format!("{field}-data"), BASE64.decode(data).ok()?))
        }
        (None, Some(path)) => Some((field.to_owned(), std::fs::read(directory.join(path)).ok()?)),
        (None, None) => None,
    }
}

fn dates(place: &str, pem: &[u8]) -> Option<Item> {
    let text = certificate::facts(pem);
    let origin = Origin(format!("openssl x509 -noout -subject -issuer -dates ({place})"));
    (!text.is_empty()).then_some(Item { kind: ItemKind::NodeFacts, origin, text })
}

fn token(user: &AuthInfo, directory: &Path) -> Option<String> {
    let inline = serde_json::to_value(user).ok()?["token"].as_str().map(str::to_owned);
    inline.or_else(|| std::fs::read_to_string(directory.join(user.token_file.as_deref()?)).ok())
}

/// When a JSON Web Token ends; its other claims may be secret.
fn claims(place: &str, token: &str) -> Option<Item> {
    let payload = token.trim().split('.').nth(1)?;
    let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()?;
    let told: Map<String, Value> =
        CLAIMS.iter().filter_map(|claim| Some(((*claim).to_owned(), payload.get(claim)?.clone()))).collect();
    let now = jiff::Timestamp::now();
    let date = now.strftime("%a %b %d %H:%M:%S UTC %Y");
    let text = format!("{}\n{date} ({})\n", Value::Object(told), now.as_second());
    let origin = Origin(format!("payload of {place}; date -u"));
    Some(Item { kind: ItemKind::NodeFacts, origin, text })
}

/// What kubectl says when the plugin of the user in use is not there.
pub(super) fn missing_plugin(kubeconfig: &Kubeconfig, context: Option<&str>, path: Option<&OsString>) -> Option<Item> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|one| one.name == context)?.context.as_ref()?;
    let user = kubeconfig.auth_infos.iter().find(|one| Some(&one.name) == context.user.as_ref())?.auth_info.as_ref()?;
    let command = user.exec.as_ref()?.command.as_deref()?;
    let there = if command.contains(std::path::MAIN_SEPARATOR) {
        Path::new(command).exists()
    } else {
        path.iter().flat_map(std::env::split_paths).any(|directory| {
            directory.join(command).is_file() || directory.join(command).with_extension("exe").is_file()
        })
    };
    if there {
        return None;
    }
    Some(said(
        "kubectl get nodes",
        format!("Unable to connect to the server: getting credentials: exec: executable {command} not found"),
    ))
}
