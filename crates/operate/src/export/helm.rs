//! Releases of Helm: what their secrets remember, and which objects are theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clean::OMITTED;
use super::files::Key;

/// Type of the secrets in which Helm remembers releases.
const TYPE: &str = "helm.sh/release.v1";
/// Bytes of a release, at most: it was in a secret of less than a megabyte.
const LARGEST: u64 = 64 << 20;

/// Why the memory of a release is left out with the values of secrets.
pub(super) const FORGOTTEN: &str = "Helm's memory of a release is a secret's value: --secrets age:RECIPIENT keeps it";

/// What is told of a release: its newest revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Release {
    /// Name of its chart.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// The application's version.
    pub app_version: String,
    /// Counted from 1; 0 if only objects of it were seen.
    pub revision: u64,
    /// Such as `deployed`.
    pub status: String,
    /// The exported objects that Helm made for it.
    pub objects: BTreeSet<String>,
}

/// Releases by namespace and name.
pub type Releases = BTreeMap<String, Release>;

/// Whether Helm remembers a release in this object.
pub(super) fn is_memory(object: &Value) -> bool {
    Key::of(object).is_secret() && object["type"] == TYPE
}

/// Whether this is the memory of a release without what was remembered, as earlier exports have it.
pub fn is_forgotten(object: &Value) -> bool {
    is_memory(object) && !object["metadata"]["annotations"][OMITTED].is_null()
}

/// Writes down what the memory of a release tells.
pub(super) fn remember(secret: &Value, releases: &mut Releases) {
    let metadata = &secret["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let content = content(secret).unwrap_or_default();
    let name = metadata["labels"]["name"].as_str().or_else(|| content["name"].as_str());
    let Some(name) = name.or_else(|| metadata["name"].as_str()) else { return };
    let release = releases.entry(format!("{}/{name}", text(&metadata["namespace"]))).or_default();
    let label = metadata["labels"]["version"].as_str().and_then(|version| version.parse().ok());
    let revision = content["version"].as_u64().or(label).unwrap_or_default();
    if revision >= release.revision {
        let chart = &content["chart"]["metadata"];
        release.chart = text(&chart["name"]);
        release.version = text(&chart["version"]);
        release.app_version = text(&chart["appVersion"]);
        release.status = text(&content["info"]["status"]);
        release.revision = revision;
    }
}

/// Writes down whose an exported object is.
pub(super) fn claim(object: &Value, releases: &mut Releases) {
    let annotation = |name: &str| object["metadata"]["annotations"][name].as_str();
    let Some(name) = annotation("meta.helm.sh/release-name") else { return };
    let key = Key::of(object);
    let namespace = annotation("meta.helm.sh/release-namespace").or(key.namespace.as_deref()).unwrap_or_default();
    releases.entry(format!("{namespace}/{name}")).or_default().objects.insert(key.to_string());
}

/// A release as Helm packs it: JSON, compressed, in base64, in the API's base64.
fn content(secret: &Value) -> Option<Value> {
    let inner = STANDARD.decode(secret["data"]["release"].as_str()?).ok()?;
    let packed = STANDARD.decode(inner).ok()?;
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice()).take(LARGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;

    use super::*;

    fn secret(revision: u64, version: &str) -> Value {
        let content = json!({"name": "blog", "version": revision, "info": {"status": "deployed"},
            "chart": {"metadata": {"name": "wordpress", "version": version, "appVersion": "6"}}, "config": {"a": "planted"}});
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(content.to_string().as_bytes()).unwrap();
        let inner = STANDARD.encode(packed.finish().unwrap());
        json!({"apiVersion": "v1", "kind": "Secret", "type": TYPE, "data": {"release": STANDARD.encode(inner)},
            "metadata": {"name": format!("sh.helm.release.v1.blog.v{revision}"), "namespace": "shop"}})
    }

    #[test]
    fn a_release_is_told_by_its_newest_revision_and_its_objects() {
        let mut releases = Releases::new();
        for (revision, version) in [(9, "1.9"), (10, "2.0"), (2, "1.2")] {
            remember(&secret(revision, version), &mut releases);
        }
        let annotations = json!({"meta.helm.sh/release-name": "blog", "meta.helm.sh/release-namespace": "shop"});
        let metadata = json!({"name": "web", "annotations": annotations});
        claim(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}), &mut releases);
        let release = &releases["shop/blog"];
        assert_eq!((release.chart.as_str(), release.version.as_str(), release.revision), ("wordpress", "2.0", 10));
        assert!(release.objects.contains("_cluster/namespace/web"));
        assert!(!serde_json::to_string(&releases).unwrap().contains("planted"));
    }

    #[test]
    fn what_is_no_release_is_told_by_its_labels() {
        let mut releases = Releases::new();
        let mut broken = secret(3, "1");
        broken["data"]["release"] = "AAAA".into();
        broken["metadata"]["labels"] = json!({"name": "blog", "version": "3"});
        remember(&broken, &mut releases);
        assert_eq!(releases["shop/blog"].revision, 3);
    }
}
