//! What Helm installed: the apiVersions and kinds of its releases, read out of its Secrets.

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use doctor::{Item, ItemKind, Origin};
use kube::Client;
use serde_json::Value;

use super::{get, unavailable, words};

/// Largest release that is unpacked: Helm's own limit is a Secret of 1 MiB, packed.
const MAX_RELEASE: u64 = 32 << 20;

/// One item for each release that is deployed, with the objects that its manifest names and nothing else of them.
pub(super) async fn releases(client: &Client, server: &str) -> Vec<Item> {
    let mut newest: BTreeMap<(String, String), (u64, Item)> = BTreeMap::new();
    let base = "/api/v1/secrets?fieldSelector=type%3Dhelm.sh%2Frelease.v1&labelSelector=status%3Ddeployed&limit=20";
    let mut next = Some(base.to_owned());
    while let Some(path) = next.take() {
        let page = match get(client, &path).await {
            Ok(page) => page,
            Err(error) => {
                return vec![unavailable("helm list -A", words::kubectl(&error, server))];
            }
        };
        for secret in page["items"].as_array().into_iter().flatten() {
            if let Some((key, revision, item)) = release(secret)
                && newest.get(&key).is_none_or(|(other, _)| *other < revision)
            {
                newest.insert(key, (revision, item));
            }
        }
        let more = page["metadata"]["continue"].as_str().unwrap_or_default();
        let token = percent_encoding::utf8_percent_encode(more, percent_encoding::NON_ALPHANUMERIC);
        next = (!more.is_empty()).then(|| format!("{base}&continue={token}"));
    }
    newest.into_values().map(|(_, item)| item).collect()
}

/// A release: namespace and name, revision, and its objects.
fn release(secret: &Value) -> Option<((String, String), u64, Item)> {
    let packed = BASE64.decode(secret["data"]["release"].as_str()?).ok()?;
    let release = unpacked(&packed)?;
    let (namespace, name) = (release["namespace"].as_str()?, release["name"].as_str()?);
    let text = objects(release["manifest"].as_str()?, namespace);
    let origin = Origin(format!("helm get manifest {name} -n {namespace}"));
    // No `Objects`: what a manifest asks for is not what is there.
    let item = Item { kind: ItemKind::KubectlOutput, origin, text };
    let revision = release["version"].as_u64().unwrap_or_default();
    Some(((namespace.to_owned(), name.to_owned()), revision, item))
}

/// Helm packs: JSON, gzip, base64; the API packs the last once more.
fn unpacked(packed: &[u8]) -> Option<Value> {
    let zipped = BASE64.decode(packed).ok()?;
    let mut json = Vec::new();
    flate2::read::GzDecoder::new(zipped.as_slice()).take(MAX_RELEASE).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

/// A line for each document: apiVersion, kind, namespace and name. Read line by line: only what stands at the first
/// columns counts, and a manifest need not be perfect for that.
fn objects(manifest: &str, namespace: &str) -> String {
    let documents = format!("\n{manifest}");
    let documents = documents.split("\n---");
    let named = documents.filter_map(|document| {
        let field = |key: &str| {
            let line = document.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            let value = line.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            (!value.is_empty()).then(|| value.to_owned())
        };
        let metadata = document.split("\nmetadata:").nth(1).unwrap_or_default();
        let within = |key: &str| {
            let lines = metadata.lines().skip(1).take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
            let indent = |line: &str| line.len() - line.trim_start().len();
            let first = lines.clone().find(|line| !line.trim().is_empty()).map(indent).unwrap_or_default();
            let mut found = lines.filter(|line| indent(line) == first);
            found.find_map(|line| {
                Some(line.trim().strip_prefix(key)?.strip_prefix(':')?.trim().trim_matches(['"', '\'']).to_owned())
            })
        };
        let namespace = within("namespace").unwrap_or_else(|| namespace.to_owned());
        let name = within("name").unwrap_or_default();
        Some(format!("{} {} {namespace} {name}\n", field("apiVersion")?, field("kind")?))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use serde_json::json;

    #[test]
    fn a_release_tells_kinds_and_no_values() {
        let manifest = "---\n# Source: x\napiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata:\n  name: web\n  \
                        labels:\n    name: no\n---\napiVersion: \"v1\" # core\nkind: Secret\nmetadata:\n  namespace: other\n  \
                        name: s\ndata:\n  password: aHVudGVyMg==\n";
        let release = json!({"name": "web", "namespace": "shop", "version": 3, "manifest": manifest,
            "config": {"password": "hunter2"}});
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(release.to_string().as_bytes()).unwrap();
        let data = BASE64.encode(BASE64.encode(zip.finish().unwrap()));
        let (key, revision, item) = super::release(&json!({"data": {"release": data}})).unwrap();
        assert_eq!((key.0.as_str(), key.1.as_str(), revision), ("shop", "web", 3));
        assert_eq!(item.text, "policy/v1beta1 PodDisruptionBudget shop web\nv1 Secret other s\n");
        assert_eq!(super::release(&json!({"data": {"release": "AAAA"}})), None);
    }
}
