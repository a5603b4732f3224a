//! Writes as they come over HTTP.

use std::sync::{Arc, Mutex, PoisonError};

use api::{Object, Reason, Status};
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

pub(crate) use super::patch::PatchType;
use super::patch::is_apply;
use super::update::check_place;
use super::{
    DeleteOptions, Manager, Modify, Op, Outcome, Part, WriteOptions, create as create_object, decode,
    delete as delete_object, managed, update as update_object,
};
use crate::auth;
use crate::http::json::Parsed;
use crate::http::media::{Accept, Encoding, body_encoding};
use crate::http::read_body;
use crate::read::Selection;
use crate::read::render::{Form, Renderer};
use crate::request::Attributes;
use crate::route::Served;
use crate::{Request, Response, Server};

/// Deletions of a collection that are under way at once.
const PARALLEL: usize = 32;

/// The write that a request asks for.
pub(crate) fn op<'a>(server: &'a Server, served: &Served, request: &'a Request, part: Part, dry_run: bool) -> Op<'a> {
    let namespace = if served.kind.namespaced { request.attributes.namespace.as_str() } else { "" };
    let (user, name, manager) = (&request.user, request.attributes.name.as_str(), Manager::default());
    Op { server, user, served: served.clone(), namespace, name, part, dry_run, manager }
}

/// Takes the body out of a request.
pub(crate) async fn take_body(request: &mut Request) -> Result<bytes::Bytes, Status> {
    let empty = http_body_util::Empty::new().map_err(|never| match never {}).boxed();
    read_body(std::mem::replace(&mut request.body, empty)).await
}

/// Answers POST to a collection.
///
/// # Errors
/// A refusal.
pub(crate) async fn create(
    server: &Arc<Server>,
    served: &Served,
    mut request: Request,
    accept: Accept,
) -> Result<Response, Status> {
    let options = WriteOptions::parse(&request.query, "CreateOptions")?;
    let form = Form::of(accept, &request.query)?;
    let encoding = body_encoding(&request.headers)?;
    let bytes = take_body(&mut request).await?;
    let decoded = decode::decode(&server.schemas, served, &bytes, encoding, options.validation)?;
    let manager = Manager::of(&request.query, &request.headers, "CreateOptions", false)?;
    let op = Op { manager, ..op(server, served, &request, Part::Main, options.dry_run) };
    let object = create_object(&op, decoded.value).await?;
    Ok(written(served, form, StatusCode::CREATED, &object, &decoded.warnings))
}

/// Answers PUT.
///
/// # Errors
/// A refusal.
pub(crate) async fn update(
    server: &Arc<Server>,
    served: &Served,
    mut request: Request,
    accept: Accept,
    part: Part,
) -> Result<Response, Status> {
    let options = WriteOptions::parse(&request.query, "UpdateOptions")?;
    let form = Form::of(accept, &request.query)?;
    let encoding = body_encoding(&request.headers)?;
    let bytes = take_body(&mut request).await?;
    let decoded = decode::decode(&server.schemas, served, &bytes, encoding, options.validation)?;
    let manager = Manager::of(&request.query, &request.headers, "UpdateOptions", false)?;
    let op = Op { manager, ..op(server, served, &request, part, options.dry_run) };
    let outcome = update_object(&op, Modify::Replace(decoded.value)).await?;
    Ok(written(served, form, StatusCode::OK, outcome.object(), &decoded.warnings))
}

/// Answers PATCH.
///
/// # Errors
/// A refusal.
pub(crate) async fn patch(
    server: &Arc<Server>,
    served: &Served,
    mut request: Request,
    accept: Accept,
    part: Part,
) -> Result<Response, Status> {
    let options = WriteOptions::parse(&request.query, "PatchOptions")?;
    let form = Form::of(accept, &request.query)?;
    if is_apply(&request.headers) {
        return apply(server, served, request, form, part, options).await;
    }
    let patch_type = PatchType::of(&request.headers)?;
    let bytes = take_body(&mut request).await?;
    let patch = decode::parse(&server.schemas, &bytes, Encoding::Json)?.value;
    let manager = Manager::of(&request.query, &request.headers, "PatchOptions", false)?;
    let op = Op { manager, ..op(server, served, &request, part, options.dry_run) };
    let schema = server.schemas.schema_of(served.group(), served.version(), served.kind.kind);
    let warnings = Mutex::new(Vec::new());
    let patched = |old: &Value| {
        let value = patch_type.apply(schema, old, &patch, served, op.name)?;
        let parsed = Parsed { value, duplicates: Vec::new() };
        let decoded = decode::check(&server.schemas, served, parsed, options.validation)?;
        *warnings.lock().unwrap_or_else(PoisonError::into_inner) = decoded.warnings;
        Ok(decoded.value)
    };
    let outcome = update_object(&op, Modify::With(&patched)).await?;
    let warnings = warnings.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(written(served, form, StatusCode::OK, outcome.object(), &warnings))
}

/// Answers PATCH with a configuration to be applied: it changes what is there, or makes it.
///
/// # Errors
/// A refusal; 409 when others manage what it would change.
async fn apply(
    server: &Arc<Server>,
    served: &Served,
    mut request: Request,
    form: Form,
    part: Part,
    options: WriteOptions,
) -> Result<Response, Status> {
    let manager = Manager::of(&request.query, &request.headers, "PatchOptions", true)?;
    let force = request.query.text("force") == Some("true");
    let bytes = take_body(&mut request).await?;
    let decoded = decode::decode(&server.schemas, served, &bytes, Encoding::Yaml, options.validation)?;
    let config = decoded.value;
    let op = Op { manager, ..op(server, served, &request, part, options.dry_run) };
    check_place(&op, &config)?;
    let applied = |live: &Value| managed::apply(&op, Some(live), &config, force, jiff::Timestamp::now());
    loop {
        if op.view().object(&op.key()).is_some() {
            let outcome = update_object(&op, Modify::With(&applied)).await?;
            return Ok(written(served, form, StatusCode::OK, outcome.object(), &decoded.warnings));
        }
        if part != Part::Main {
            return Err(served.not_found(op.name));
        }
        // Whoever may only patch may not make anything.
        let attributes = Attributes { verb: "create".to_owned(), ..request.attributes.clone() };
        auth::authorize(&server.auth, &server.store.view(), &request.user, &attributes)?;
        let uid = config["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() {
            return Err(op.conflict(&format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ")));
        }
        let new = managed::apply(&op, None, &config, force, jiff::Timestamp::now())?;
        match create_object(&op, new).await {
            Ok(object) => return Ok(written(served, form, StatusCode::CREATED, &object, &decoded.warnings)),
            // Somebody else was faster.
            Err(status) if status.reason == Reason::AlreadyExists => {}
            Err(status) => return Err(status),
        }
    }
}

/// Answers DELETE of one object.
///
/// # Errors
/// A refusal.
pub(crate) async fn delete(server: &Arc<Server>, served: &Served, mut request: Request) -> Result<Response, Status> {
    let options = delete_options(server, &mut request).await?;
    let op = op(server, served, &request, Part::Main, options.dry_run);
    let outcome = delete_object(&op, &options).await?;
    Ok(deleted(served, &outcome))
}

/// The answer to a delete: the object while it is still there, else a Status that it is gone.
pub(crate) fn deleted(served: &Served, outcome: &Outcome) -> Response {
    match outcome {
        Outcome::Kept(object) => Renderer::new(served, Form::Whole).object(StatusCode::OK, object),
        Outcome::Gone(object) => Response::json(StatusCode::OK, &success(served, object)),
    }
}

fn success(served: &Served, object: &Object) -> Value {
    let mut details = json!({
        "name": &*object.header.key.name,
        "kind": served.kind.plural,
        "uid": &*object.header.uid,
    });
    if !served.group().is_empty() {
        details["group"] = json!(served.group());
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Options of a delete, from the body or the query.
async fn delete_options(server: &Server, request: &mut Request) -> Result<DeleteOptions, Status> {
    let encoding = body_encoding(&request.headers)?;
    let bytes = take_body(request).await?;
    if bytes.is_empty() {
        return DeleteOptions::parse(None, &request.query);
    }
    let body = decode::parse(&server.schemas, &bytes, encoding)?.value;
    let kind = body["kind"].as_str().unwrap_or("DeleteOptions");
    if kind != "DeleteOptions" || !body.is_object() {
        return Err(Status::bad_request(format!(
            "decoded object cannot be converted to DeleteOptions: it is a {kind}"
        )));
    }
    DeleteOptions::parse(Some(&body), &request.query)
}

/// Answers DELETE of a collection: every object that the selectors mean, as one list.
///
/// # Errors
/// The first refusal; what was deleted before it stays deleted.
pub(crate) async fn delete_collection(
    server: &Arc<Server>,
    served: &Served,
    mut request: Request,
) -> Result<Response, Status> {
    let options = delete_options(server, &mut request).await?;
    let base = op(server, served, &request, Part::Main, options.dry_run);
    let selection = Selection::parse(&served.kind, base.namespace, "", &request.query)?;
    let view = server.store.view();
    let objects: Vec<Arc<Object>> = selection.objects(&view, &served.kind, None).cloned().collect();
    for some in objects.chunks(PARALLEL) {
        let deletions: Vec<_> = some.iter().map(|object| delete_one(&base, object, &options)).collect();
        futures::future::try_join_all(deletions).await?;
    }
    let meta = format!("\"resourceVersion\":\"{}\"", server.store.view().revision());
    Ok(Renderer::new(served, Form::Whole).list(&meta, objects))
}

async fn delete_one(base: &Op<'_>, object: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let key = &object.header.key;
    let op = Op { name: &key.name, namespace: &key.namespace, ..base.clone() };
    match delete_object(&op, options).await {
        // Somebody else was faster.
        Err(status) if status.reason == api::Reason::NotFound => Ok(()),
        other => other.map(drop),
    }
}

/// The answer to a write.
fn written(served: &Served, form: Form, status: StatusCode, object: &Object, warnings: &[String]) -> Response {
    let renderer = Renderer::new(served, form);
    let mut response = renderer.object(status, object);
    for warning in warnings {
        // Quoted strings of RFC 9110 know two escapes.
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers.append(http::header::WARNING, value);
        }
    }
    response
}
