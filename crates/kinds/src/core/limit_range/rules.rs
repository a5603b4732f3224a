//! Bounds that fit together: least ≤ default request ≤ default ≤ most.

use std::collections::{BTreeMap, BTreeSet};

use api::{FieldErrors, Path, Quantity};
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};
use k8s_openapi::apimachinery::pkg::api::resource;
use serde_json::{Value, json};

use crate::core::pod::defaults::quantities;
use crate::core::pod::spec::resources;
use crate::value::{at, default, each, object, text};

/// For containers: the default is the most, and the default request is the default or else the least.
pub fn defaults(range: &mut Value) {
    for item in object(range, "spec").into_iter().flat_map(|spec| each(spec, "limits")) {
        for field in ["default", "defaultRequest", "max", "maxLimitRequestRatio", "min"] {
            quantities(item, field);
        }
        if text(item, "type") != "Container" {
            continue;
        }
        for (to, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
            let amounts = item[from].clone();
            default(item, to, json!({}));
            for (name, amount) in amounts.as_object().into_iter().flatten() {
                at(item, to).into_iter().for_each(|to| default(to, name, amount.clone()));
            }
        }
    }
}

/// Reports everything that is wrong.
pub fn validate(range: &LimitRange, _: Option<&LimitRange>, errors: &mut FieldErrors) {
    let mut types = BTreeSet::new();
    let items = range.spec.as_ref().map(|spec| spec.limits.as_slice()).unwrap_or_default();
    for (index, one) in items.iter().enumerate() {
        let path = Path::new("spec").child("limits").index(index);
        let type_path = path.child("type");
        if !one.type_.contains('/') && !["Container", "PersistentVolumeClaim", "Pod"].contains(&one.type_.as_str()) {
            errors.invalid(&type_path, one.type_.as_str(), "must be a standard limit type or fully qualified");
        }
        if !types.insert(&one.type_) {
            errors.duplicate(&type_path, one.type_.as_str());
        }
        item(one, &path, errors);
    }
}

type Amounts = BTreeMap<String, resource::Quantity>;

fn item(item: &LimitRangeItem, path: &Path, errors: &mut FieldErrors) {
    let lists = [
        ("max", &item.max),
        ("min", &item.min),
        ("default", &item.default),
        ("defaultRequest", &item.default_request),
        ("maxLimitRequestRatio", &item.max_limit_request_ratio),
    ];
    let mut names: BTreeSet<&String> = BTreeSet::new();
    for (field, amounts) in lists {
        for (name, amount) in amounts.iter().flatten() {
            let path = path.child(field).key(name);
            if ["Container", "Pod"].contains(&item.type_.as_str()) {
                resources::container_resource(name, &path, errors);
            } else {
                resources::name(name, &path, errors);
            }
            resources::amount(name, amount, &path, errors);
            names.insert(name);
        }
    }
    if item.type_ == "Pod" {
        for (field, amounts) in [("default", &item.default), ("defaultRequest", &item.default_request)] {
            if amounts.as_ref().is_some_and(|amounts| !amounts.is_empty()) {
                errors.forbidden(&path.child(field), "may not be specified when `type` is 'Pod'");
            }
        }
    }
    let has_storage = |amounts: &Option<Amounts>| amounts.as_ref().is_some_and(|all| all.contains_key("storage"));
    if item.type_ == "PersistentVolumeClaim" && !has_storage(&item.min) && !has_storage(&item.max) {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(&path.child("limits"), why);
    }
    for name in names {
        ordered(item, name, path, errors);
    }
}

/// Reports bounds of one resource that contradict one another.
fn ordered(item: &LimitRangeItem, name: &str, path: &Path, errors: &mut FieldErrors) {
    let amount = |amounts: &Option<Amounts>| {
        let text = amounts.as_ref()?.get(name)?.0.clone();
        Some((Quantity::parse(&text).ok()?, text))
    };
    let (min, max) = (amount(&item.min), amount(&item.max));
    let (request, limit) = (amount(&item.default_request), amount(&item.default));
    let words = ("min value", "max value", "default request value", "default limit value", "default value");
    for (field, small, small_word, large, large_word) in [
        ("min", &min, words.0, &max, words.1),
        ("defaultRequest", &min, words.0, &request, words.2),
        ("defaultRequest", &request, words.2, &max, words.1),
        ("defaultRequest", &request, words.2, &limit, words.3),
        ("default", &min, words.0, &limit, words.4),
        ("default", &limit, words.4, &max, words.1),
    ] {
        if let (Some((small, small_text)), Some((large, large_text))) = (small, large)
            && small > large
        {
            let why = format!("{small_word} {small_text} is greater than {large_word} {large_text}");
            let shown = match (field, large_word) {
                ("defaultRequest", _) => request.as_ref().map_or(small_text, |(_, text)| text),
                ("default", "max value") => large_text,
                _ => small_text,
            };
            errors.invalid(&path.child(field).key(name), shown.as_str(), &why);
        }
    }
    if let Some((ratio, text)) = amount(&item.max_limit_request_ratio)
        && ratio < Quantity::units(1)
    {
        let path = path.child("maxLimitRequestRatio").key(name);
        errors.invalid(&path, text.as_str(), &format!("ratio {text} is less than 1"));
    }
    if let (Some((request, request_text)), Some((limit, limit_text))) = (&request, &limit)
        && request != limit
        && !resources::overcommits(name)
    {
        let path = path.child("defaultRequest").key(name);
        let why = format!("default value {limit_text} must equal to defaultRequest value {request_text} in {name}");
        errors.invalid(&path, request_text.as_str(), &why);
    }
}
