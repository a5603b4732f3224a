//! What is known to exist: rows of `kubectl get`, descriptions, and objects.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::objects::Found;
use super::table::{self, Row};
use crate::evidence::{Item, ItemKind, Origin};

/// An object that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// `Secret`, `ConfigMap`, `StorageClass`, `PersistentVolumeClaim`, `Namespace` or `CustomResourceDefinition`.
    pub kind: &'static str,
    /// Namespace; `None` when not told.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Seconds since it was made, if told.
    pub age: Option<u64>,
    /// `Bound`, `Pending`, `Active`; empty when not told.
    pub status: String,
    /// A class's provisioner, or a claim's class.
    pub detail: String,
    /// Whether a storage class is the default one.
    pub is_default: bool,
    /// Keys of a Secret's or ConfigMap's data, if told.
    pub keys: Option<Vec<String>>,
}

/// A row of `kubectl get pods`, with or without its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRow {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// Namespace; `None` when not told.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Containers that are ready, and all.
    pub ready: (u32, u32),
    /// `Running`, `CrashLoopBackOff`, `Init:0/1`, …
    pub status: String,
    /// How often its containers were restarted.
    pub restarts: u64,
    /// Seconds since the last restart, if that is told.
    pub restarted: Option<u64>,
    /// Seconds since it was made, if that is told.
    pub age: Option<u64>,
}

impl PodRow {
    /// Whether it works, or has done its work.
    pub fn is_well(&self) -> bool {
        self.status == "Completed" || self.status == "Running" && self.ready.0 == self.ready.1
    }

    /// Whether it may be started again soon: pauses do not grow beyond five minutes.
    pub fn may_restart(&self) -> bool {
        let each = self.age.zip(std::num::NonZeroU64::new(self.restarts)).map(|(age, restarts)| age / restarts);
        self.restarts > 0 && self.restarted.or(each).is_none_or(|seconds| seconds < 3600)
    }
}

/// The namespace that a command line asks for.
pub fn namespace_of(origin: &Origin) -> Option<String> {
    let mut words = origin.source().split_whitespace();
    while let Some(word) = words.next() {
        if word == "-n" || word == "--namespace" {
            return words.next().map(|name| name.trim_end_matches([';', '|']).to_owned());
        }
        if let Some(name) = word.strip_prefix("--namespace=").or_else(|| word.strip_prefix("-n=")) {
            return Some(name.to_owned());
        }
    }
    None
}

fn is_listing(item: &Item) -> bool {
    matches!(item.kind, ItemKind::KubectlOutput | ItemKind::Text | ItemKind::PodEvents | ItemKind::NodeFacts)
}

pub(crate) fn read(items: &[Item], objects: &[Found]) -> Vec<Existing> {
    let mut all: Vec<Existing> = objects.iter().filter_map(of_object).collect();
    for (number, item) in items.iter().enumerate().filter(|(_, item)| is_listing(item)) {
        let asked = namespace_of(&item.origin);
        for row in table::columns(&item.text, "NAME") {
            all.extend(of_row(number, item, &asked, &row));
        }
        all.extend(described(number, &item.text));
    }
    all
}

fn of_object(found: &Found) -> Option<Existing> {
    let kind = known(found.kind())?;
    let object = &found.object;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let detail = match kind {
        "StorageClass" => text(&object["provisioner"]),
        _ => text(&object["spec"]["storageClassName"]),
    };
    let default = &object["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"];
    let maps = [&object["data"], &object["binaryData"]];
    let keys: Vec<String> = maps.iter().filter_map(|map| map.as_object()).flat_map(|map| map.keys().cloned()).collect();
    Some(Existing {
        item: found.item,
        line: 1,
        kind,
        namespace: Some(found.namespace().to_owned()).filter(|name| !name.is_empty()),
        name: found.name().to_owned(),
        age: None,
        status: text(&object["status"]["phase"]),
        detail,
        is_default: default == "true",
        keys: maps.iter().any(|map| map.is_object()).then_some(keys),
    })
}

fn known(kind: &str) -> Option<&'static str> {
    ["Secret", "ConfigMap", "StorageClass", "PersistentVolumeClaim", "Namespace", "CustomResourceDefinition"]
        .into_iter()
        .find(|known| *known == kind)
}

fn of_row(number: usize, item: &Item, asked: &Option<String>, row: &Row<'_>) -> Option<Existing> {
    let has = |title: &str| row.has(title);
    let source = item.origin.source();
    let kind = if has("PROVISIONER") {
        "StorageClass"
    } else if has("VOLUME") && has("STATUS") {
        "PersistentVolumeClaim"
    } else if has("TYPE") && has("DATA") {
        "Secret"
    } else if has("DATA") {
        "ConfigMap"
    } else if has("CREATED AT") {
        "CustomResourceDefinition"
    } else if has("STATUS") && !has("READY") && !has("ROLES") && source.contains(" n") {
        "Namespace"
    } else {
        return None;
    };
    // The command may go through grep, which leaves lines of other commands below.
    let name = row.get("NAME").split_whitespace().next()?.to_owned();
    let own = Some(row.get("NAMESPACE").to_owned()).filter(|name| !name.is_empty());
    Some(Existing {
        item: number,
        line: row.line,
        kind,
        namespace: own.or_else(|| asked.clone()),
        name,
        age: table::age(row.get("AGE")),
        status: row.get("STATUS").to_owned(),
        detail: match kind {
            "StorageClass" => row.get("PROVISIONER").to_owned(),
            _ => row.get("STORAGECLASS").to_owned(),
        },
        is_default: row.get("NAME").contains("(default)"),
        keys: None,
    })
}

/// `kubectl describe` of a Secret, a ConfigMap or a claim.
fn described(number: usize, text: &str) -> Option<Existing> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (name, namespace) = (field("Name:")?, field("Namespace:").unwrap_or_default());
    let data = text.lines().position(|line| line == "Data");
    let kind = if data.is_some() {
        if field("Type:").is_some() { "Secret" } else { "ConfigMap" }
    } else if field("Access Modes:").is_some() && field("StorageClass:").is_some() {
        "PersistentVolumeClaim"
    } else if field("Provisioner:").is_some() {
        "StorageClass"
    } else {
        return None;
    };
    let keys = data.map(|from| {
        let rows = text.lines().skip(from + 2).take_while(|line| !line.starts_with("Events"));
        rows.filter_map(|line| Some(line.split_once(':')?.0))
            .filter(|key| !key.is_empty() && !key.contains(' '))
            .map(str::to_owned)
            .collect()
    });
    let detail = field("Provisioner:").or_else(|| field("StorageClass:")).unwrap_or_default();
    Some(Existing {
        item: number,
        line: 1,
        kind,
        namespace: Some(namespace.to_owned()).filter(|name| !name.is_empty()),
        name: name.to_owned(),
        age: None,
        status: field("Status:").unwrap_or_default().to_owned(),
        detail: detail.to_owned(),
        is_default: field("IsDefaultClass:") == Some("Yes"),
        keys,
    })
}

static POD_ROW: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?:(?P<ns>[a-z0-9][a-z0-9-]*)\s+)?(?:pod/)?(?P<name>[a-z0-9][a-z0-9.-]*)\s+(?P<up>\d+)/(?P<all>\d+)\s+(?P<status>[A-Z][A-Za-z:0-9/]+)\s+(?P<restarts>\d+)(?:\s+\((?P<ago>\w+) ago\))?(?:\s+(?P<age>\d\w*))?(?:\s|$)",
    )
    .ok()
});

pub(crate) fn pod_rows(items: &[Item]) -> Vec<PodRow> {
    let mut rows = Vec::new();
    let Some(form) = POD_ROW.as_ref() else { return rows };
    for (number, item) in items.iter().enumerate().filter(|(_, item)| is_listing(item)) {
        let asked = namespace_of(&item.origin);
        for (index, line) in item.text.lines().enumerate() {
            let Some(row) = form.captures(line.trim()) else { continue };
            rows.push(PodRow {
                item: number,
                line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                namespace: row.name("ns").map(|name| name.as_str().to_owned()).or_else(|| asked.clone()),
                name: row["name"].to_owned(),
                ready: (row["up"].parse().unwrap_or(0), row["all"].parse().unwrap_or(0)),
                status: row["status"].to_owned(),
                restarts: row["restarts"].parse().unwrap_or(0),
                restarted: row.name("ago").and_then(|ago| table::age(ago.as_str())),
                age: row.name("age").and_then(|age| table::age(age.as_str())),
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(origin: &str, text: &str) -> Item {
        Item { kind: ItemKind::KubectlOutput, origin: Origin(origin.to_owned()), text: text.to_owned() }
    }

    #[test]
    fn rows_with_and_without_a_head() {
        let text = "NAME             PROVISIONER       AGE\nfast (default)   csi.example.org   40d\n\nsys   csi-0   0/3   CrashLoopBackOff   88 (2m ago)   6h\n";
        let items = [item("kubectl get sc; kubectl get pods -A | grep csi", text)];
        let all = read(&items, &[]);
        assert_eq!((all.len(), all[0].name.as_str(), all[0].is_default), (1, "fast", true));
        assert_eq!((all[0].detail.as_str(), all[0].age), ("csi.example.org", Some(3_456_000)));
        let pods = pod_rows(&items);
        let seen = (pods[0].namespace.as_deref(), pods[0].name.as_str(), pods[0].ready, pods[0].restarts);
        assert_eq!(seen, (Some("sys"), "csi-0", (0, 3), 88));
    }

    #[test]
    fn descriptions_tell_keys() {
        let text = "Name:         db\nNamespace:    shop\n\nType:  Opaque\n\nData\n====\npassword:  18 bytes\n";
        let all = read(&[item("kubectl describe secret db -n shop", text)], &[]);
        assert_eq!((all[0].kind, all[0].keys.as_deref()), ("Secret", Some(["password".to_owned()].as_slice())));
        assert_eq!(namespace_of(&Origin("kubectl get cm x -n net -o wide".to_owned())).as_deref(), Some("net"));
    }
}
