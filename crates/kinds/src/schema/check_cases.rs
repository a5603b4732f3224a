//! Checking objects against the schemas of built-in kinds, as data.

use api::schema::{CheckOptions, Checked};
use serde_json::{Map, Value, json};

use super::definition_for;

fn check(kind: &str, value: Value) -> (Value, Checked) {
    let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
    let root = definition_for(group, "v1", kind).unwrap();
    let mut value = value;
    let checked = root.schema().check(&mut value, CheckOptions::default());
    (value, checked)
}

/// A pod with one container that has the given fields.
fn pod(container: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container]}})
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec})
}

#[test]
fn objects_that_fit_are_left_alone() {
    let cases = [
        ("Pod", pod(json!({"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}))),
        ("Pod", pod(json!({"name": "c", "env": [{"name": "A", "value": ""}, {"name": "B"}]}))),
        ("Pod", pod(json!({"name": "c", "livenessProbe": {"httpGet": {"path": "/", "port": "http"}}}))),
        ("Pod", pod(json!({"name": "c", "livenessProbe": {"httpGet": {"path": "/", "port": 8080}}}))),
        ("Pod", pod(json!({"name": "c", "resources": {"limits": {"cpu": "100m", "example.com/gpu": "1"}}}))),
        ("Pod", pod(json!({"name": "c", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}))),
        ("ConfigMap", json!({"data": {"a": "b"}, "binaryData": {"c": "YQ=="}, "immutable": true})),
        ("Secret", json!({"data": {"a": "YQ=="}, "type": "Opaque"})),
        ("Service", json!({"spec": {"ports": [{"port": 80, "targetPort": "web"}], "selector": {"a": "b"}}})),
        ("Namespace", json!({"metadata": {"labels": {"a": "b"}}, "spec": {"finalizers": ["kubernetes"]}})),
        (
            "apps/Deployment",
            deployment(json!({"strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}})),
        ),
        (
            "apiextensions.k8s.io/CustomResourceDefinition",
            json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {
                "size": {"type": "integer", "default": 1, "enum": [1, 2], "example": [null]},
                "name": {"type": "string", "default": "x"}}}}}]}}),
        ),
        ("apps/ControllerRevision", json!({"data": {"any": {"thing": [1, null]}}, "revision": 3})),
        ("metadata", json!({"metadata": {"managedFields": [{"fieldsV1": {"f:spec": {".": {}}}, "manager": "m"}]}})),
        ("coordination.k8s.io/Lease", json!({"spec": {"renewTime": "2026-01-02T03:04:05.000006Z"}})),
        ("", json!({})),
    ];
    for (kind, value) in cases {
        let kind = if kind.is_empty() || kind == "metadata" { "ConfigMap" } else { kind };
        let (checked_value, checked) = check(kind, value.clone());
        assert_eq!((checked, checked_value), (Checked::default(), value));
    }
}

#[test]
fn unknown_fields_are_named_and_pruned() {
    let cases: &[(&str, Value, &[&str], Value)] = &[
        ("Pod", json!({"spce": {}}), &["spce"], json!({})),
        ("Pod", json!({"spec": {"foo": 1}}), &["spec.foo"], json!({"spec": {}})),
        ("Pod", pod(json!({"name": "c", "foo": {"bar": 1}})), &["spec.containers[0].foo"], pod(json!({"name": "c"}))),
        (
            "Pod",
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "imag": "x"}]}}),
            &["spec.containers[1].imag"],
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
        ),
        (
            "Pod",
            pod(json!({"name": "c", "env": [{"name": "A", "valeu": "x"}]})),
            &["spec.containers[0].env[0].valeu"],
            pod(json!({"name": "c", "env": [{"name": "A"}]})),
        ),
        ("Pod", json!({"metadata": {"lables": {}}}), &["metadata.lables"], json!({"metadata": {}})),
        ("ConfigMap", json!({"Data": {}}), &["Data"], json!({})),
        ("ConfigMap", json!({"spec": {}, "data": {}}), &["spec"], json!({"data": {}})),
        (
            "apps/Deployment",
            deployment(json!({"replica": 3, "template": {"spec": {"nodeName": "n", "hostnetwork": true}}})),
            &["spec.replica", "spec.template.spec.hostnetwork"],
            deployment(json!({"template": {"spec": {"nodeName": "n"}}})),
        ),
        (
            "Service",
            json!({"spec": {"port": [], "ports": [{"prot": 1}]}}),
            &["spec.port", "spec.ports[0].prot"],
            json!({"spec": {"ports": [{}]}}),
        ),
        ("networking.k8s.io/Ingress", json!({"spec": {"backend": {}}}), &["spec.backend"], json!({"spec": {}})),
    ];
    for (kind, value, unknown, pruned) in cases {
        let (value, checked) = check(kind, value.clone());
        assert_eq!((checked.errors.as_slice(), &value), (&[][..], pruned));
        assert_eq!(checked.unknown, *unknown);
    }
}

#[test]
fn without_pruning_unknown_fields_stay() {
    let root = definition_for("", "v1", "Pod").unwrap();
    let mut value = json!({"spec": {"foo": 1}});
    let checked = root.schema().check(&mut value, CheckOptions { prune: false });
    assert_eq!((checked.unknown.as_slice(), value), (&["spec.foo".to_owned()][..], json!({"spec": {"foo": 1}})));
    assert_eq!(checked.strict_error().unwrap(), "strict decoding error: unknown field \"spec.foo\"");
}

#[test]
fn strict_errors_and_warnings_have_the_api_servers_words() {
    let (_, checked) = check("Pod", json!({"spec": {"bar": 1, "foo": 2}}));
    assert_eq!(
        checked.strict_error().unwrap(),
        "strict decoding error: unknown field \"spec.bar\", unknown field \"spec.foo\""
    );
    assert_eq!(checked.warnings(), ["unknown field \"spec.bar\"", "unknown field \"spec.foo\""]);
    assert_eq!(check("Pod", json!({})).1.strict_error(), None);
}

#[test]
fn wrong_types_are_reported_in_gos_words() {
    let cases = [
        (
            "apps/Deployment",
            deployment(json!({"replicas": "3"})),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "apps/Deployment",
            deployment(json!({"replicas": 1.5})),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "apps/Deployment",
            deployment(json!({"replicas": 4_294_967_296_i64})),
            "json: cannot unmarshal number 4294967296 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "apps/Deployment",
            deployment(json!({"template": {"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}})),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            "apps/Deployment",
            deployment(json!({"template": {"spec": {"containers": [{"env": [{"name": "A", "value": true}]}]}}})),
            "json: cannot unmarshal bool into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            "apps/Deployment",
            deployment(json!("x")),
            "json: cannot unmarshal string into Go struct field Deployment.spec of type v1.DeploymentSpec",
        ),
        (
            "Pod",
            json!({"spec": {"containers": {"name": "c"}}}),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "Pod",
            json!({"spec": {"containers": ["c"]}}),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
        ),
        (
            "Pod",
            json!({"metadata": {"annotations": {"a": true}}}),
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.annotations of type string",
        ),
        (
            "Pod",
            json!({"metadata": {"labels": []}}),
            "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            "Pod",
            json!({"metadata": "x"}),
            "json: cannot unmarshal string into Go struct field Pod.metadata of type v1.ObjectMeta",
        ),
        (
            "Pod",
            json!({"metadata": {"finalizers": "x"}}),
            "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.finalizers of type []string",
        ),
        (
            "Pod",
            json!({"metadata": {"uid": 1}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.uid of type types.UID",
        ),
        (
            "Pod",
            json!({"spec": {"restartPolicy": 1}}),
            "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            "Pod",
            pod(json!({"resources": {"limits": ["x"]}})),
            "json: cannot unmarshal array into Go struct field ResourceRequirements.spec.containers.resources.limits of type v1.ResourceList",
        ),
        (
            "Pod",
            pod(json!({"resources": {"limits": {"cpu": "lots"}}})),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "Pod",
            pod(json!({"livenessProbe": {"httpGet": {"port": 1.5}}})),
            "json: cannot unmarshal number 1.5 into Go struct field HTTPGetAction.spec.containers.livenessProbe.httpGet.port of type int32",
        ),
        (
            "Pod",
            pod(json!({"command": "sh -c"})),
            "json: cannot unmarshal string into Go struct field Container.spec.containers.command of type []string",
        ),
        (
            "Pod",
            pod(json!({"tty": "true"})),
            "json: cannot unmarshal string into Go struct field Container.spec.containers.tty of type bool",
        ),
        (
            "Pod",
            pod(json!({"ports": [{"containerPort": "80"}]})),
            "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        ("Secret", json!({"data": {"a": "not base64"}}), "illegal base64 data at input byte 3"),
        (
            "Secret",
            json!({"data": {"a": 1}}),
            "json: cannot unmarshal number into Go struct field Secret.data of type []uint8",
        ),
        (
            "ConfigMap",
            json!({"data": {"a": {"b": 1}}}),
            "json: cannot unmarshal object into Go struct field ConfigMap.data of type string",
        ),
        (
            "ConfigMap",
            json!({"data": {"a": 8080}}),
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            "ConfigMap",
            json!({"metadata": {"creationTimestamp": "yesterday"}}),
            "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"",
        ),
        (
            "ConfigMap",
            json!({"metadata": {"creationTimestamp": 5}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
        (
            "PersistentVolumeClaim",
            json!({"spec": {"accessModes": [1]}}),
            "json: cannot unmarshal number into Go struct field PersistentVolumeClaimSpec.spec.accessModes of type v1.PersistentVolumeAccessMode",
        ),
        ("ConfigMap", json!([]), "json: cannot unmarshal array into Go value of type v1.ConfigMap"),
        ("ConfigMap", json!(null), "json: cannot unmarshal null into Go value of type v1.ConfigMap"),
    ];
    for (kind, value, expected) in cases {
        let (_, checked) = check(kind, value.clone());
        assert_eq!(checked.decode_error(), Some(expected), "{value}");
    }
}

#[test]
fn values_are_brought_into_the_stored_form() {
    let cases = [
        // Nulls are absent.
        ("Pod", json!({"metadata": {"creationTimestamp": null, "name": "x"}}), json!({"metadata": {"name": "x"}})),
        ("Pod", json!({"spec": null, "status": {}}), json!({"status": {}})),
        ("ConfigMap", json!({"data": {"a": null}}), json!({"data": {"a": ""}})),
        ("Pod", json!({"metadata": {"finalizers": [null]}}), json!({"metadata": {"finalizers": [""]}})),
        ("Pod", json!({"spec": {"containers": [null]}}), json!({"spec": {"containers": [{}]}})),
        // Quantities are canonical strings.
        (
            "Pod",
            pod(json!({"resources": {"limits": {"cpu": 1, "memory": "1024Mi"}, "requests": {"cpu": 0.5}}})),
            pod(json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}})),
        ),
        (
            "PersistentVolumeClaim",
            json!({"spec": {"resources": {"requests": {"storage": 1_073_741_824}}}}),
            json!({"spec": {"resources": {"requests": {"storage": "1073741824"}}}}),
        ),
        // Times are in UTC.
        (
            "Pod",
            json!({"metadata": {"creationTimestamp": "2026-01-02T03:04:05+02:00"}}),
            json!({"metadata": {"creationTimestamp": "2026-01-02T01:04:05Z"}}),
        ),
        ("Secret", json!({"data": {"a": "YW\nJj"}}), json!({"data": {"a": "YWJj"}})),
    ];
    for (kind, value, expected) in cases {
        let (value, checked) = check(kind, value);
        assert_eq!((checked, value), (Checked::default(), expected));
    }
}

#[test]
fn checking_twice_changes_nothing() {
    let messy = pod(json!({
        "name": "c", "bogus": 1, "stdin": null, "resources": {"limits": {"cpu": 2, "memory": "2048Ki"}},
        "env": [{"name": "A", "value": "x", "y": {}}]
    }));
    let (once, _) = check("Pod", messy);
    let (twice, checked) = check("Pod", once.clone());
    assert_eq!((twice, checked), (once, Checked::default()));
}

#[test]
fn recursive_types_are_checked_at_every_depth() {
    let at_depth = |depth: usize, leaf: Value| {
        let nested = (0..depth).fold(leaf, |inner, _| json!({"type": "array", "not": inner}));
        json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": nested}}]}})
    };
    let check = |value| check("apiextensions.k8s.io/CustomResourceDefinition", value).1;
    assert_eq!(check(at_depth(20, json!({"type": "object"}))), Checked::default());
    let wrong = check(at_depth(3, json!({"type": 1, "typo": 1})));
    assert_eq!(wrong.unknown, ["spec.versions[0].schema.openAPIV3Schema.not.not.not.typo"]);
    assert_eq!(
        wrong.decode_error().unwrap(),
        "json: cannot unmarshal number into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema.not.not.not.type of type string"
    );
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    let deep = (0..2000).fold(Value::Null, |inner, _| Value::Object([("not".to_owned(), inner)].into_iter().collect()));
    let mut crd = json!({"spec": {"versions": [{"schema": {}}]}});
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = deep;
    let (_, checked) = check("apiextensions.k8s.io/CustomResourceDefinition", crd);
    assert_eq!(checked.decode_error(), Some("exceeded max depth"));

    let mut revision = json!({"data": {}});
    revision["data"]["x"] = (0..2000).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert_eq!(check("apps/ControllerRevision", revision).1.decode_error(), Some("exceeded max depth"));
}

/// Values of every shape, from a small generator: no input makes a check panic, and checking is idempotent.
#[test]
fn arbitrary_values_are_checked_without_panic() {
    let names =
        ["metadata", "spec", "containers", "name", "limits", "data", "labels", "items", "creationTimestamp", "x"];
    let mut random = Random(7);
    for kind in
        ["Pod", "apps/Deployment", "Secret", "Service", "apiextensions.k8s.io/CustomResourceDefinition", "PodList"]
    {
        for _ in 0..300 {
            let value = random.value(&names, 6);
            let (once, first) = check(kind, value);
            let (twice, second) = check(kind, once.clone());
            assert_eq!(once, twice);
            assert_eq!((second.errors, second.unknown.len()), (first.errors, 0));
        }
    }
}

/// A small deterministic generator of values.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(super) fn value(&mut self, names: &[&str], depth: usize) -> Value {
        match self.below(if depth == 0 { 7 } else { 11 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(1000)),
            3 => json!(1.5),
            4 => json!("2026-01-02T03:04:05Z"),
            5 => json!("1Gi"),
            6 => json!(["a", "b", "YQ==", ""][self.below(4)]),
            7 | 8 => (0..self.below(4)).map(|_| self.value(names, depth - 1)).collect(),
            _ => Value::Object(self.object(names, depth)),
        }
    }

    pub(super) fn object(&mut self, names: &[&str], depth: usize) -> Map<String, Value> {
        let fields = 0..self.below(5);
        fields.map(|_| (names[self.below(names.len())].to_owned(), self.value(names, depth - 1))).collect()
    }
}
