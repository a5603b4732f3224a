//! The front door for callers in this process: controllers, the scheduler, the bootstrap.

use std::sync::Arc;

use api::schema::Schema;
use api::{Change, EventType, Key, Object, Propagation, Reason, Revision, Status, Subresource, View};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::Follow;

use crate::events::{self, Wanted};
use crate::http::json::Parsed;
use crate::route::Served;
use crate::subresource::{binding, scale};
use crate::write::{self, DeleteOptions, Manager, Modify, Op, Outcome, Part, Preconditions, Validation};
use crate::{Attributes, Server, User, auth};

/// In-process access, with the authorization, admission and validation of HTTP requests. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    server: Arc<Server>,
}

impl Door {
    /// The door of a server.
    pub fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// The latest view, at the current time.
    pub fn view(&self) -> View {
        self.server.store.view().at(Timestamp::now())
    }

    /// A view that shows `revision`, at the current time. History is published just before views, so who was handed
    /// an entry may have to wait a moment for the view that shows it.
    pub async fn view_from(&self, revision: Revision) -> View {
        let mut views = self.server.store.views();
        match views.wait_for(|view| view.revision() >= revision).await {
            Ok(view) => view.clone().at(Timestamp::now()),
            Err(_) => self.view(), // The store is closing; there is no newer view.
        }
    }

    /// Follows all kinds from the next change on. A view taken after this call misses nothing.
    pub fn follow(&self) -> Follow {
        self.server.store.follow()
    }

    /// Makes a change as `user`. The object as it is afterwards; `None` when it is gone, or for an event that was one
    /// too many.
    ///
    /// # Errors
    /// A refusal, as HTTP would answer it.
    pub async fn commit(&self, user: &User, change: Change) -> Result<Option<Arc<Object>>, Status> {
        match change {
            Change::Create(value) => self.create(user, value).await,
            Change::Update(value, part) => self.update(user, value, part).await,
            Change::Patch { key, uid, part, patch } => self.patch(user, &key, &uid, part, &patch).await,
            Change::Scale { key, uid, replicas } => self.scale(user, &key, &uid, replicas).await,
            Change::Bind { key, uid, node } => self.bind(user, &key, &uid, &node).await,
            Change::Delete { key, uid, propagation, grace } => self.delete(user, &key, uid, propagation, grace).await,
            Change::Event { about, kind, reason, message } => self.event(user, &about, kind, &reason, &message).await,
        }
    }

    /// A token for a Secret of type `kubernetes.io/service-account-token`: it lasts as long as the Secret has it.
    ///
    /// # Errors
    /// When there is no such service account.
    pub fn account_token(&self, view: &View, namespace: &str, account: &str, secret: &str) -> Result<String, Status> {
        auth::legacy_token(&self.server.auth, view, namespace, account, secret)
    }

    /// The kind that an object names, in the version that it names.
    fn served_of(&self, value: &Value) -> Result<Served, Status> {
        let (version, kind) =
            (value["apiVersion"].as_str().unwrap_or_default(), value["kind"].as_str().unwrap_or_default());
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let catalogue = &self.server.catalogue;
        let stored = catalogue.by_kind(group, kind).filter(|found| found.version == version).map(Served::stored);
        let alias = || {
            let aliases = catalogue.aliases().iter().filter(|alias| alias.group == group && alias.version == version);
            aliases.filter(|alias| alias.stored.kind == kind).find_map(|alias| {
                let kind = catalogue.by_kind(alias.stored.group, alias.stored.kind)?;
                Some(Served { kind: Arc::clone(kind), alias: Some(*alias) })
            })
        };
        stored.or_else(alias).ok_or_else(|| {
            Status::new(
                Reason::NotFound,
                format!("no kind {kind:?} is registered for version {version:?} of group {group:?}"),
            )
        })
    }

    fn served(&self, key: &Key) -> Served {
        Served::stored(self.server.catalogue.kind(key.kind))
    }

    fn schema(&self, served: &Served) -> Option<Schema<'_>> {
        self.server.schemas.schema_of(served.group(), served.version(), served.kind.kind)
    }

    /// A write that `user` may do.
    fn op<'a>(
        &'a self,
        user: &'a User,
        served: &Served,
        (namespace, name): (&'a str, &'a str),
        (verb, subresource): (&str, &str),
        part: Part,
    ) -> Result<Op<'a>, Status> {
        let attributes = Attributes {
            verb: verb.to_owned(),
            is_resource: true,
            group: served.group().to_owned(),
            version: served.version().to_owned(),
            resource: served.kind.plural.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        auth::authorize(&self.server.auth, &self.server.store.view(), user, &attributes)?;
        let namespace = if served.kind.namespaced { namespace } else { "" };
        Ok(Op {
            server: &self.server,
            user,
            served: served.clone(),
            namespace,
            name,
            part,
            dry_run: false,
            manager: Manager::component(user),
        })
    }

    /// The schema's part of validation, as for a body.
    fn checked(&self, served: &Served, value: Value) -> Result<Value, Status> {
        let parsed = Parsed { value, duplicates: Vec::new() };
        let decoded = write::check(&self.server.schemas, served, parsed, Validation::Ignore)?;
        Ok(decoded.value)
    }

    async fn create(&self, user: &User, value: Value) -> Result<Option<Arc<Object>>, Status> {
        let served = self.served_of(&value)?;
        let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let op = self.op(user, &served, (&namespace, ""), ("create", ""), Part::Main)?;
        write::create(&op, self.checked(&served, value)?).await.map(Some)
    }

    async fn update(&self, user: &User, value: Value, part: Subresource) -> Result<Option<Arc<Object>>, Status> {
        let served = self.served_of(&value)?;
        let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        let (part, subresource) = part_of(part);
        let op = self.op(user, &served, (&namespace, &name), ("update", subresource), part)?;
        write::update(&op, Modify::Replace(self.checked(&served, value)?)).await.map(kept)
    }

    async fn patch(
        &self,
        user: &User,
        key: &Key,
        uid: &str,
        part: Subresource,
        patch: &Value,
    ) -> Result<Option<Arc<Object>>, Status> {
        let served = self.served(key);
        // Kubernetes writes a namespace's finalizers through a subresource of their own, for which plans have no word.
        let finalizes = part == Subresource::Main && served.kind.kind == "Namespace" && !patch["spec"].is_null();
        let (verb, (part, subresource)) =
            if finalizes { ("update", (Part::Finalize, "finalize")) } else { ("patch", part_of(part)) };
        let op = self.op(user, &served, (&key.namespace, &key.name), (verb, subresource), part)?;
        let patched = |old: &Value| {
            same(&served, key, old, uid)?;
            let value = write::http::PatchType::Merge.apply(self.schema(&served), old, patch, &served, &key.name)?;
            self.checked(&served, value)
        };
        write::update(&op, Modify::With(&patched)).await.map(kept)
    }

    async fn scale(&self, user: &User, key: &Key, uid: &str, replicas: i32) -> Result<Option<Arc<Object>>, Status> {
        let served = self.served(key);
        let Some(paths) = served.kind.scale else {
            return Err(Status::bad_request(format!("{} can't be scaled", served.kind.qualified())));
        };
        let op = self.op(user, &served, (&key.namespace, &key.name), ("update", "scale"), Part::Main)?;
        let scaled = |old: &Value| {
            same(&served, key, old, uid)?;
            let mut scale = old.clone();
            scale["spec"]["replicas"] = json!(replicas);
            Ok(scale)
        };
        scale::change(&op, paths, &scaled).await.map(Some)
    }

    async fn bind(&self, user: &User, key: &Key, uid: &str, node: &str) -> Result<Option<Arc<Object>>, Status> {
        let served = self.served(key);
        let op = self.op(user, &served, (&key.namespace, &key.name), ("create", "binding"), Part::Own)?;
        binding::assign(&op, node, Some(uid)).await.map(Some)
    }

    async fn delete(
        &self,
        user: &User,
        key: &Key,
        uid: String,
        propagation: Propagation,
        grace: Option<i64>,
    ) -> Result<Option<Arc<Object>>, Status> {
        let served = self.served(key);
        let op = self.op(user, &served, (&key.namespace, &key.name), ("delete", ""), Part::Main)?;
        let options = DeleteOptions {
            grace,
            propagation: Some(propagation),
            preconditions: Preconditions { uid: Some(uid), revision: None },
            dry_run: false,
        };
        write::delete(&op, &options).await.map(kept)
    }

    async fn event(
        &self,
        user: &User,
        about: &Value,
        kind: EventType,
        reason: &str,
        message: &str,
    ) -> Result<Option<Arc<Object>>, Status> {
        let event = self.server.catalogue.by_kind("", "Event");
        let served = Served::stored(event.ok_or_else(|| Status::not_implemented("events"))?);
        self.op(user, &served, (events::namespace_of(about), ""), ("create", ""), Part::Main)?;
        events::record(&self.server, user, &served, &Wanted { about, kind, reason, message }).await
    }
}

fn part_of(part: Subresource) -> (Part, &'static str) {
    match part {
        Subresource::Main => (Part::Main, ""),
        Subresource::Status => (Part::Status, "status"),
    }
}

fn kept(outcome: Outcome) -> Option<Arc<Object>> {
    match outcome {
        Outcome::Kept(object) => Some(object),
        Outcome::Gone(_) => None,
    }
}

/// 409 when an object is another one than the plan was made for.
fn same(served: &Served, key: &Key, old: &Value, uid: &str) -> Result<(), Status> {
    if old["metadata"]["uid"] == uid {
        return Ok(());
    }
    let detail = format!(
        "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
        old["metadata"]["uid"].as_str().unwrap_or_default()
    );
    Err(Status::conflict(served.group(), served.kind.plural, &key.name, &detail))
}
