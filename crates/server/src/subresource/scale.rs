//! `scale`: the wanted replicas of a workload, whatever its kind, as an `autoscaling/v1` Scale.

use std::sync::Arc;

use api::{FieldErrors, LabelSelector, Object, Path, ScalePaths, Status};
use http::StatusCode;
use serde_json::{Value, json};

use crate::http::media::{Encoding, body_encoding};
use crate::route::{Served, method_not_allowed};
use crate::write::http::{PatchType, op, take_body};
use crate::write::{Manager, Modify, Op, Part, WriteOptions};
use crate::{Request, Response, Server, write};

/// Answers GET, PUT and PATCH of `scale`.
///
/// # Errors
/// A refusal.
pub(crate) async fn handle(server: &Arc<Server>, served: &Served, mut request: Request) -> Result<Response, Status> {
    let Some(paths) = served.kind.scale else { return Err(method_not_allowed()) };
    let (name, namespace) = (request.attributes.name.clone(), request.attributes.namespace.clone());
    let object = match request.attributes.verb.as_str() {
        "get" => {
            let view = server.store.view();
            Arc::clone(view.object(&served.key(&namespace, &name)).ok_or_else(|| served.not_found(&name))?)
        }
        "update" => {
            let options = WriteOptions::parse(&request.query, "UpdateOptions")?;
            let encoding = body_encoding(&request.headers)?;
            let bytes = take_body(&mut request).await?;
            let sent = write::parse(&server.schemas, &bytes, encoding)?.value;
            let manager = Manager::of(&request.query, &request.headers, "ScaleOptions", false)?;
            let op = Op { manager, ..op(server, served, &request, Part::Main, options.dry_run) };
            change(&op, paths, &|_| Ok(sent.clone())).await?
        }
        "patch" => {
            let options = WriteOptions::parse(&request.query, "PatchOptions")?;
            let patch_type = PatchType::of(&request.headers)?;
            let bytes = take_body(&mut request).await?;
            let patch = write::parse(&server.schemas, &bytes, Encoding::Json)?.value;
            let manager = Manager::of(&request.query, &request.headers, "ScaleOptions", false)?;
            let op = Op { manager, ..op(server, served, &request, Part::Main, options.dry_run) };
            let schema = server.schemas.schema_of("autoscaling", "v1", "Scale");
            let patched = |old: &Value| patch_type.apply(schema, old, &patch, served, &name);
            change(&op, paths, &patched).await?
        }
        _ => return Err(method_not_allowed()),
    };
    Ok(Response::json(StatusCode::OK, &scale_of(&object, &object.value(), paths)))
}

/// Sets the wanted replicas from a Scale that is made from the one of now.
///
/// # Errors
/// A refusal.
pub(crate) async fn change(
    op: &Op<'_>,
    paths: ScalePaths,
    make: &(dyn Fn(&Value) -> Result<Value, Status> + Send + Sync),
) -> Result<Arc<Object>, Status> {
    let stored = Op { served: Served::stored(&op.served.kind), ..op.clone() };
    let changed = |old: &Value| {
        let scale = make(&scale_from(old, paths))?;
        let replicas = check(&scale, op.name)?;
        let mut value = old.clone();
        for field in ["resourceVersion", "uid"] {
            if scale["metadata"][field].as_str().is_some_and(|text| !text.is_empty()) {
                value["metadata"][field] = scale["metadata"][field].clone();
            }
        }
        set(&mut value, paths.spec_replicas, json!(replicas));
        Ok(value)
    };
    let outcome = write::update(&stored, Modify::With(&changed)).await?;
    Ok(Arc::clone(outcome.object()))
}

/// The wanted replicas of a Scale.
fn check(scale: &Value, name: &str) -> Result<i64, Status> {
    let path = Path::new("spec.replicas");
    let mut errors = FieldErrors::default();
    let sent = &scale["spec"]["replicas"];
    let own_name = scale["metadata"]["name"].as_str().unwrap_or(name);
    if own_name != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({own_name}) does not match the name on the URL ({name})"
        )));
    }
    match (sent, sent.as_i64()) {
        (Value::Null, _) => Ok(0),
        (_, Some(replicas)) if (0..=i64::from(i32::MAX)).contains(&replicas) => Ok(replicas),
        (_, Some(_)) => {
            errors.invalid(&path, sent.clone(), "must be greater than or equal to 0");
            Err(Status::invalid("autoscaling", "Scale", name, &errors))
        }
        (_, None) => Err(Status::bad_request(
            "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32",
        )),
    }
}

fn scale_of(object: &Object, value: &Value, paths: ScalePaths) -> Value {
    let mut scale = scale_from(value, paths);
    scale["metadata"]["resourceVersion"] = json!(object.header.revision.to_string());
    scale
}

/// The Scale of an object.
fn scale_from(value: &Value, paths: ScalePaths) -> Value {
    let meta = &value["metadata"];
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": {"replicas": get(value, paths.spec_replicas).as_i64().unwrap_or_default()},
        "status": {"replicas": get(value, paths.status_replicas).as_i64().unwrap_or_default()},
    });
    if let Some(selector) = selector(get(value, paths.selector)) {
        scale["status"]["selector"] = json!(selector);
    }
    scale
}

/// A selector as text, from a string, a map of labels or a `LabelSelector`.
fn selector(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) if fields.contains_key("matchLabels") || fields.contains_key("matchExpressions") => {
            let selector = serde_json::from_value(value.clone()).ok()?;
            Some(LabelSelector::from_object(&selector).ok()?.to_string())
        }
        Value::Object(_) => {
            let labels: std::collections::BTreeMap<String, String> = serde_json::from_value(value.clone()).ok()?;
            Some(LabelSelector::from_map(&labels).to_string())
        }
        _ => None,
    }
}

/// The value at a dotted path.
fn get<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |at, step| &at[step])
}

/// Sets the value at a dotted path.
fn set(value: &mut Value, path: &str, new: Value) {
    let mut at = value;
    for step in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step];
    }
    *at = new;
}
