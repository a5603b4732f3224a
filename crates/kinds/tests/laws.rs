//! What holds for every kind, shown on the smallest valid object of each and on what can become of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use api::{Catalogue, FieldErrors, Kind, Object, Row};
use jiff::Timestamp;
use serde_json::{Value, json};

fn minimal() -> Vec<Value> {
    include_str!("minimal.yaml").split("\n---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect()
}

fn kind_of<'a>(catalogue: &'a Catalogue, object: &Value) -> &'a Kind {
    let version = object["apiVersion"].as_str().unwrap();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = object["kind"].as_str().unwrap();
    let found = catalogue.by_kind(group, kind).unwrap_or_else(|| panic!("{version} {kind} is in the catalogue"));
    assert_eq!(found.api_version(), version, "{kind}");
    found
}

fn errors(kind: &Kind, object: &Value, old: Option<&Object>) -> String {
    let mut errors = FieldErrors::default();
    kind.validate(object, old, &mut errors).unwrap_or_else(|why| panic!("{} decodes: {why}\n{object}", kind.kind));
    errors.to_string()
}

fn row() -> Row {
    Row { now: "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() }
}

#[test]
fn every_kind_has_a_smallest_object_and_no_two_share_a_name() {
    let catalogue = kinds::catalogue();
    let objects = minimal();
    let shown: Vec<&str> = objects.iter().map(|object| kind_of(&catalogue, object).kind).collect();
    for kind in catalogue.kinds() {
        assert!(shown.contains(&kind.kind), "{} has no smallest object", kind.kind);
        let same = catalogue.kinds().iter().filter(|other| other.plural == kind.plural && other.group == kind.group);
        assert_eq!(same.count(), 1, "{}", kind.qualified());
        for short in kind.short_names {
            let same = catalogue.kinds().iter().filter(|other| other.short_names.contains(short));
            assert_eq!(same.count(), 1, "{short}");
        }
    }
    assert_eq!(shown.len(), catalogue.kinds().len());
}

#[test]
fn a_smallest_object_becomes_valid_by_preparing_and_defaulting() {
    let catalogue = kinds::catalogue();
    for mut object in minimal() {
        let kind = kind_of(&catalogue, &object);
        kind.prepare(&mut object, None);
        kind.fill_defaults(&mut object);
        assert_eq!(errors(kind, &object, None), "[]", "{}", kind.kind);
        let once = object.clone();
        kind.fill_defaults(&mut object);
        assert_eq!(object, once, "defaults of {} are idempotent", kind.kind);
    }
}

#[test]
fn writing_back_what_was_read_changes_nothing() {
    let catalogue = kinds::catalogue();
    for mut object in minimal() {
        let kind = kind_of(&catalogue, &object);
        kind.prepare(&mut object, None);
        kind.fill_defaults(&mut object);
        let old = Object::seal(kind, object.clone(), 1);
        let mut new = object.clone();
        kind.prepare(&mut new, Some(&object));
        kind.fill_defaults(&mut new);
        assert_eq!(new, object, "{}", kind.kind);
        assert_eq!(errors(kind, &new, Some(&old)), "[]", "{}", kind.kind);
    }
}

#[test]
fn a_row_has_a_cell_for_every_head_and_one_column_names_the_object() {
    let catalogue = kinds::catalogue();
    for object in minimal() {
        let kind = kind_of(&catalogue, &object);
        let heads = kind.column_heads();
        let cells = kind.cells(&Object::seal(kind, object, 1), row());
        assert_eq!(cells.len(), heads.len(), "{}", kind.kind);
        if !heads.is_empty() {
            assert_eq!(heads.iter().filter(|head| head.format == "name").count(), 1, "{}", kind.kind);
        }
        assert!(cells.iter().all(|cell| !cell.is_object() && !cell.is_array()), "{}: {cells:?}", kind.kind);
    }
}

#[test]
fn served_forms_lead_back_to_the_stored_form() {
    let catalogue = kinds::catalogue();
    for alias in catalogue.aliases() {
        for mut object in minimal() {
            let kind = kind_of(&catalogue, &object);
            if (kind.group, kind.kind) != (alias.stored.group, alias.stored.kind) {
                continue;
            }
            kind.prepare(&mut object, None);
            kind.fill_defaults(&mut object);
            let mut served = object.clone();
            (alias.serve)(&mut served);
            assert_eq!(served["apiVersion"], format!("{}/{}", alias.group, alias.version));
            (alias.store)(&mut served);
            // What the old version carries in annotations leaves an empty map behind.
            if served["metadata"]["annotations"] == json!({}) {
                served["metadata"].as_object_mut().unwrap().remove("annotations");
            }
            assert_eq!(served, object, "{}", kind.kind);
        }
    }
}

/// A small generator of numbers, always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides.max(1)
    }

    /// Puts something else in place of one of the values in `value`.
    fn disturb(&mut self, value: &mut Value) {
        let children: Vec<&mut Value> = match value {
            Value::Object(fields) => fields.values_mut().collect(),
            Value::Array(items) => items.iter_mut().collect(),
            _ => Vec::new(),
        };
        if !children.is_empty() && self.roll(6) > 0 {
            let index = self.roll(children.len());
            return self.disturb(children.into_iter().nth(index).unwrap());
        }
        let others = [
            Value::Null,
            json!(0),
            json!(-1),
            json!(4_000_000_000_u64),
            json!(1.5),
            json!(true),
            json!(""),
            json!("None"),
            json!("50%"),
            json!("9".repeat(60)),
            json!([]),
            json!([null]),
            json!([[]]),
            json!({}),
            json!({ "name": 1 }),
        ];
        *value = others[self.roll(others.len())].clone();
    }
}

#[test]
fn nothing_that_decodes_makes_a_kind_panic() {
    let catalogue = kinds::catalogue();
    let mut dice = Dice(7);
    let mut decoded = 0;
    for object in minimal() {
        let kind = kind_of(&catalogue, &object);
        let mut good = object.clone();
        kind.prepare(&mut good, None);
        kind.fill_defaults(&mut good);
        let old = Object::seal(kind, good.clone(), 1);
        for round in 0..1000 {
            let mut odd = if round % 2 == 0 { object.clone() } else { good.clone() };
            for _ in 0..=dice.roll(3) {
                dice.disturb(&mut odd);
            }
            for before in [None, Some(&good)] {
                let mut written = odd.clone();
                kind.prepare(&mut written, before);
                kind.fill_defaults(&mut written);
                let once = written.clone();
                kind.fill_defaults(&mut written);
                assert_eq!(written, once, "defaults of {} are idempotent", kind.kind);
                let mut errors = FieldErrors::default();
                if kind.validate(&written, before.map(|_| &old), &mut errors).is_ok() && written.is_object() {
                    decoded += 1;
                    if written["metadata"].is_object() {
                        kind.cells(&Object::seal(kind, written, 2), row());
                    }
                }
            }
        }
    }
    assert!(decoded > 10_000, "only {decoded} of the odd objects decoded");
}

#[test]
fn field_selectors_see_what_kubernetes_shows_them() {
    let catalogue = kinds::catalogue();
    let fields = |text: &str| {
        let object: Value = serde_saphyr::from_str(text).unwrap();
        let kind = kind_of(&catalogue, &object);
        let sealed = Object::seal(kind, object, 1);
        let selects = |selector: &str| api::FieldSelector::parse(kind, selector).unwrap().matches(&sealed.header);
        let named: Vec<&str> = kind.selectable.to_vec();
        for field in kind.computed {
            assert!(named.contains(&field.name), "{} of {} can be selected", field.name, kind.kind);
        }
        selects("metadata.name=a").then(|| sealed.header.fields.clone()).unwrap()
    };
    assert_eq!(fields("{apiVersion: v1, kind: Node, metadata: {name: a}}"), ["false"]);
    assert_eq!(fields("{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {unschedulable: true}}"), ["true"]);
    assert_eq!(fields("{apiVersion: batch/v1, kind: Job, metadata: {name: a}}"), ["0"]);
    assert_eq!(fields("{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {succeeded: 2}}"), ["2"]);
    let event = "{apiVersion: v1, kind: Event, metadata: {name: a}, source: {component: kubelet}}";
    assert!(fields(event).contains(&"kubelet".to_owned()));
}
