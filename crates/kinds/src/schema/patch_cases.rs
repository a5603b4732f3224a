//! Strategic merge patches of built-in kinds: the cases of `patch_cases.txt`.

use api::patch::{MAX_DEPTH, strategic_merge};
use api::schema::{Root, depth_within};
use serde_json::{Value, json};

use super::check_cases::Random;
use super::definition_for;

const CASES: &str = include_str!("patch_cases.txt");

/// Puts a value under a dotted path; `-` is the root.
fn at(path: &str, value: Value) -> Value {
    if path == "-" {
        return value;
    }
    path.rsplit('.').fold(value, |inner, name| Value::Object([(name.to_owned(), inner)].into_iter().collect()))
}

fn root(kind: &str) -> Root {
    let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
    definition_for(group, "v1", kind).unwrap()
}

#[test]
fn patches_merge_as_kubernetes_merges_them() {
    let mut failures = Vec::new();
    let mut count = 0;
    for case in CASES.split("\n== ").skip(1) {
        let lines: Vec<&str> = case.trim_end().lines().collect();
        let [title, place, target, patch, expected] = lines.as_slice() else { panic!("malformed case: {case}") };
        let (kind, path) = place.split_once(' ').unwrap();
        let read = |text: &str| at(path, serde_json::from_str(text).unwrap());
        let found = match strategic_merge(&read(target), &read(patch), root(kind).schema()) {
            Ok(result) => result.to_string(),
            Err(error) => format!("error {} {}", error.code(), error.to_string().replace('\n', "\\n")),
        };
        let expected = if expected.starts_with("error ") { (*expected).to_owned() } else { read(expected).to_string() };
        if found != expected {
            failures.push(format!("{title}\n  expected {expected}\n  found    {found}"));
        }
        count += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 100, "only {count} cases were read");
}

#[test]
fn documents_that_are_no_objects_are_refused() {
    let pod = root("Pod");
    for wrong in [json!([]), json!("x"), json!(1), json!(null), json!(true)] {
        assert_eq!(strategic_merge(&json!({}), &wrong, pod.schema()).unwrap_err().code(), 400);
        assert_eq!(strategic_merge(&wrong, &json!({}), pod.schema()).unwrap_err().code(), 400);
    }
    let error = strategic_merge(&json!({}), &json!([]), pod.schema()).unwrap_err();
    assert_eq!(error.to_string(), "json: cannot unmarshal array into Go value of type map[string]interface {}");
}

/// A value without nulls: a null means something else in a new list than in one that is there.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, field)| !field.is_null());
            Value::Object(kept.map(|(name, field)| (name, without_nulls(field))).collect())
        }
        Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).map(without_nulls).collect(),
        scalar => scalar,
    }
}

/// Laws for arbitrary input: no panic, no deep result, an empty patch is the identity, and a patch without directives
/// applied twice gives what it gave once, where it applies.
#[test]
fn arbitrary_patches_keep_the_laws() {
    let names = ["metadata", "spec", "containers", "name", "env", "volumes", "finalizers", "labels", "template"];
    let directives = [
        "spec",
        "containers",
        "name",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "ports",
        "$deleteFromPrimitiveList/finalizers",
        "finalizers",
        "$setElementOrder/finalizers",
        "metadata",
        "port",
    ];
    let mut random = Random(11);
    let mut merged = 0;
    for kind in ["Pod", "apps/Deployment", "Service"] {
        let root = root(kind);
        for _ in 0..1500 {
            let target = Value::Object(random.object(&names, 6));
            let plain = without_nulls(Value::Object(random.object(&names, 6)));
            assert_eq!(strategic_merge(&target, &json!({}), root.schema()).as_ref(), Ok(&target));
            if let Ok(once) = strategic_merge(&target, &plain, root.schema())
                && let Ok(twice) = strategic_merge(&once, &plain, root.schema())
            {
                assert_eq!(twice, once, "{target} + {plain}");
                merged += 1;
            }
            let directed = Value::Object(random.object(&directives, 5));
            if let Ok(result) = strategic_merge(&target, &directed, root.schema()) {
                assert!(depth_within(&result, MAX_DEPTH));
            }
        }
    }
    assert!(merged > 1000, "the generator makes too few patches that apply: {merged}");
}

#[test]
fn large_lists_merge_in_linear_time() {
    let list = |range: std::ops::Range<u32>, image: &str| -> Value {
        range.map(|n| json!({"name": format!("c{n}"), "image": image})).collect()
    };
    let target = at("spec.containers", list(0..20_000, "1"));
    let patch = at("spec.containers", list(10_000..30_000, "2"));
    let result = strategic_merge(&target, &patch, root("Pod").schema()).unwrap();
    assert_eq!(result["spec"]["containers"].as_array().unwrap().len(), 30_000);
    assert_eq!(result["spec"]["containers"][10_000], json!({"name": "c10000", "image": "2"}));
}
