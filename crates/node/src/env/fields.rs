//! The downward API: what a container may know of its own pod.

use api::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceFieldSelector};

use crate::pod::{members, qos};

/// A pod with what the node adds to it before the API server knows.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub pod: &'a Pod,
    pub pod_ips: &'a [String],
    pub host_ip: &'a str,
    pub allocatable: Allocatable,
}

/// What a container without a limit is told that it may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocatable {
    pub cpu: Quantity,
    pub memory: Quantity,
    pub ephemeral_storage: Quantity,
}

impl Fields<'_> {
    /// The value of a `fieldRef`.
    pub(crate) fn field(&self, path: &str) -> Result<String, String> {
        let meta = &self.pod.metadata;
        let spec = self.pod.spec.as_ref();
        if let Some((map, key)) = subscript(path) {
            let entries = match map {
                "metadata.labels" => meta.labels.as_ref(),
                "metadata.annotations" => meta.annotations.as_ref(),
                _ => return Err(unsupported(path)),
            };
            return Ok(entries.and_then(|entries| entries.get(key)).cloned().unwrap_or_default());
        }
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        Ok(match path {
            "metadata.name" => text(meta.name.as_ref()),
            "metadata.namespace" => text(meta.namespace.as_ref()),
            "metadata.uid" => text(meta.uid.as_ref()),
            "metadata.labels" => formatted(meta.labels.iter().flatten()),
            "metadata.annotations" => formatted(meta.annotations.iter().flatten()),
            "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
            "spec.serviceAccountName" => text(spec.and_then(|spec| spec.service_account_name.as_ref())),
            "status.hostIP" | "status.hostIPs" => self.host_ip.to_owned(),
            "status.podIP" => self.pod_ips.first().cloned().unwrap_or_default(),
            "status.podIPs" => self.pod_ips.join(","),
            _ => return Err(unsupported(path)),
        })
    }

    /// The value of a `resourceFieldRef`, for `container` unless it names another.
    pub(crate) fn resource(&self, selector: &ResourceFieldSelector, container: &Container) -> Result<String, String> {
        let spec = self.pod.spec.as_ref();
        let named = selector.container_name.as_deref().filter(|name| !name.is_empty());
        match named {
            None => self.amount(selector, container),
            Some(name) => {
                let member = spec.and_then(|spec| members::find(spec, name));
                let member = member.ok_or_else(|| format!("container {name} not found"))?;
                self.amount(selector, &member.container)
            }
        }
    }

    fn amount(&self, selector: &ResourceFieldSelector, container: &Container) -> Result<String, String> {
        let (list, resource) =
            selector.resource.split_once('.').ok_or_else(|| format!("unsupported resource: {}", selector.resource))?;
        let amount = match list {
            "limits" => qos::limit(container, resource).or_else(|| self.whole(resource)).unwrap_or(Quantity::ZERO),
            "requests" => qos::request(container, resource).unwrap_or(Quantity::ZERO),
            _ => return Err(format!("unsupported resource: {}", selector.resource)),
        };
        let divisor = selector.divisor.as_ref().and_then(|divisor| Quantity::parse(&divisor.0).ok());
        let divisor = divisor.filter(|divisor| *divisor > Quantity::ZERO).unwrap_or(Quantity::units(1));
        Ok(quotient(amount, divisor).to_string())
    }

    fn whole(&self, resource: &str) -> Option<Quantity> {
        match resource {
            "cpu" => Some(self.allocatable.cpu),
            "memory" => Some(self.allocatable.memory),
            "ephemeral-storage" => Some(self.allocatable.ephemeral_storage),
            _ => None,
        }
    }
}

/// Rounded up, as Kubernetes does.
fn quotient(amount: Quantity, divisor: Quantity) -> i64 {
    let (amount, divisor) = if divisor < Quantity::units(1) {
        (i128::from(amount.as_milli()), i128::from(divisor.as_milli()))
    } else {
        (i128::from(amount.as_milli()), i128::from(divisor.as_units()) * 1000)
    };
    let divisor = divisor.max(1);
    i64::try_from(amount.div_euclid(divisor) + i128::from(amount.rem_euclid(divisor) != 0)).unwrap_or(i64::MAX)
}

/// `metadata.labels['KEY']` in its two parts.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

fn unsupported(path: &str) -> String {
    format!("unsupported fieldPath: {path}")
}

/// One `key="value"` line per entry, as files of the downward API have them.
fn formatted<'a>(entries: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let lines: Vec<_> = entries.map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    lines.join("\n")
}

/// Go's `%q`.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The name of the service account that a pod runs as.
pub(crate) fn service_account(spec: &PodSpec) -> &str {
    let name = spec.service_account_name.as_deref().or(spec.service_account.as_deref());
    name.filter(|name| !name.is_empty()).unwrap_or("default")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "1", "b/c": "x\"y"}},
            "spec": {"nodeName": "node", "serviceAccountName": "sa", "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}},
                {"name": "d"},
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn fields_of_a_pod() {
        let pod = pod();
        let allocatable =
            Allocatable { cpu: Quantity::units(2), memory: Quantity::units(1 << 30), ..Default::default() };
        let ips = ["10.0.0.2".to_owned()];
        let fields = Fields { pod: &pod, pod_ips: &ips, host_ip: "10.0.0.1", allocatable };
        let cases = [
            ("metadata.name", "p"),
            ("metadata.labels['b/c']", "x\"y"),
            ("metadata.labels['none']", ""),
            ("metadata.labels", "a=\"1\"\nb/c=\"x\\\"y\""),
            ("spec.nodeName", "node"),
            ("spec.serviceAccountName", "sa"),
            ("status.podIP", "10.0.0.2"),
            ("status.hostIP", "10.0.0.1"),
        ];
        for (path, expected) in cases {
            assert_eq!(fields.field(path).as_deref(), Ok(expected), "{path}");
        }
        assert!(fields.field("spec.containers").is_err());
        let amounts = [
            (json!({"resource": "limits.cpu"}), "1"),
            (json!({"resource": "limits.cpu", "divisor": "1m"}), "250"),
            (json!({"resource": "limits.memory", "divisor": "1Mi"}), "64"),
            (json!({"resource": "requests.memory"}), "67108864"),
            (json!({"resource": "limits.cpu", "containerName": "d"}), "2"),
            (json!({"resource": "requests.cpu", "containerName": "d"}), "0"),
        ];
        let container = &pod.spec.as_ref().unwrap().containers[0];
        for (selector, expected) in amounts {
            let selector = serde_json::from_value(selector).unwrap();
            assert_eq!(fields.resource(&selector, container).as_deref(), Ok(expected));
        }
    }
}
