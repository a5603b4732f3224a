//! Who manages which field (`metadata.managedFields`, KEP-555).
//!
//! It is kept for objects that somebody created or applied under a manager's name of their own (`fieldManager`, which
//! kubectl and Helm always give). Other objects have none, which is as good to clients, and costs nothing to those who
//! write thousands of them; an apply to such an object takes all its fields as managed by `before-first-apply`.

use api::apply::{Compared, Fields, compare, fields_of, merge, remove};
use api::schema::Schema;
use api::status::Cause;
use api::{FieldErrors, Path, Reason, Status};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Op, Part, meta, options};
use crate::User;
use crate::request::Query;

/// Who manages fields of an object that was never applied.
const BEFORE: &str = "before-first-apply";
/// Under which name kubectl applies, and its record of what was applied on the client's side.
const KUBECTL: &str = "kubectl";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Characters of a manager's name.
const LONGEST: usize = 128;
/// Metadata that nobody manages: the server keeps it, or it is part of the object's name.
const UNMANAGED: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Under which name a write manages fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manager {
    pub(crate) name: String,
    /// Whether the writer chose the name.
    pub(crate) chosen: bool,
    /// Whether it applies, and sends its part of `managedFields` along.
    pub(crate) applies: bool,
}

impl Manager {
    /// A component of the control plane.
    pub(crate) fn component(user: &User) -> Self {
        let name = user.name.rsplit(':').next().unwrap_or_default().to_owned();
        Self { name, ..Self::default() }
    }

    /// The manager of a request: `fieldManager`, else the program's name.
    ///
    /// # Errors
    /// 422 for a name that can't be one, or none where an apply needs it.
    pub(crate) fn of(query: &Query, headers: &HeaderMap, kind: &str, applies: bool) -> Result<Self, Status> {
        let mut errors = FieldErrors::default();
        let path = Path::new("fieldManager");
        let given = query.text("fieldManager").unwrap_or_default();
        if given.is_empty() && applies {
            errors.required(&path, "is required for apply patch");
        }
        if given.chars().count() > LONGEST {
            errors.invalid(&path, given, &format!("may not be more than {LONGEST} bytes"));
        }
        if given.chars().any(char::is_control) {
            errors.invalid(&path, given, "should only contain printable characters");
        }
        if !applies && query.text("force").is_some() && kind == "PatchOptions" {
            errors.forbidden(&Path::new("force"), "may not be specified for non-apply patch");
        }
        if !errors.is_empty() {
            return Err(options::invalid(kind, &errors));
        }
        let program =
            || headers.get(http::header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let name = if given.is_empty() { program().split('/').next().unwrap_or_default() } else { given };
        let name = name.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
        Ok(Self { name, chosen: !given.is_empty(), applies })
    }
}

/// What one manager manages.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: &'static str,
    version: String,
    subresource: String,
    time: String,
    fields: Fields,
}

impl Entry {
    fn is(&self, other: &Self) -> bool {
        (&self.manager, self.operation, &self.subresource) == (&other.manager, other.operation, &other.subresource)
            && (self.operation == "Apply" || self.version == other.version)
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let operation = if value["operation"] == "Apply" { "Apply" } else { "Update" };
        let fields = Fields::read(value.get("fieldsV1")?);
        let (manager, version) = (text("manager"), text("apiVersion"));
        Some(Self { manager, operation, version, subresource: text("subresource"), time: text("time"), fields })
    }

    fn write(&self) -> Value {
        let mut value = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.version, "time": self.time,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.write(),
        });
        if !self.subresource.is_empty() {
            value["subresource"] = json!(self.subresource);
        }
        value
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten().filter_map(Entry::read).collect()
}

fn set(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| (a.operation, &a.time, &a.manager).cmp(&(b.operation, &b.time, &b.manager)));
    let Some(meta) = object["metadata"].as_object_mut() else { return };
    match entries.is_empty() {
        true => drop(meta.remove("managedFields")),
        false => drop(meta.insert("managedFields".to_owned(), entries.iter().map(Entry::write).collect())),
    }
}

/// The fields of a part that can be managed.
fn managed(op: &Op<'_>, mut fields: Fields) -> Fields {
    for name in ["apiVersion", "kind"] {
        fields.forget(&[name]);
    }
    for name in UNMANAGED {
        fields.forget(&["metadata", name]);
    }
    match op.part {
        Part::Status => fields.keep("status"),
        _ if op.served.kind.status => fields.forget(&["status"]),
        _ => {}
    }
    fields
}

fn schema<'a>(op: &Op<'a>) -> Option<Schema<'a>> {
    op.server.schemas.schema_of(op.served.group(), op.served.version(), op.served.kind.kind)
}

fn mine(op: &Op<'_>, operation: &'static str, time: String) -> Entry {
    Entry {
        manager: op.manager.name.clone(),
        operation,
        version: op.served.api_version(),
        subresource: if op.part == Part::Status { "status".to_owned() } else { String::new() },
        time,
        fields: Fields::default(),
    }
}

/// Notes who created an object, when it is as it is stored. What came with an apply is known already.
pub(super) fn on_create(op: &Op<'_>, value: &mut Value, sent: Value) {
    if op.manager.applies {
        value["metadata"]["managedFields"] = sent;
    } else if op.manager.chosen && op.served.alias.is_none() {
        let time = value["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        let fields = managed(op, fields_of(value, schema(op)));
        set(value, vec![Entry { fields, ..mine(op, "Update", time) }]);
    }
}

/// Notes who changed what, when the new state is as it will be stored; `sent` is what the writer has of the record.
pub(super) fn on_update(op: &Op<'_>, value: &mut Value, old: &Value, sent: Value, now: jiff::Timestamp) {
    if op.manager.applies {
        value["metadata"]["managedFields"] = sent;
        return;
    }
    // A client may take entries over, or (with one empty entry) forget them all.
    let of_client = sent.as_array().is_some_and(|list| !list.is_empty());
    if of_client {
        value["metadata"]["managedFields"] = sent;
    } else {
        let kept = &old["metadata"]["managedFields"];
        if !kept.is_null() {
            value["metadata"]["managedFields"] = kept.clone();
        }
    }
    let mut all = entries(value);
    let is_tracked = !all.is_empty() || op.manager.chosen && !of_client;
    if op.served.alias.is_some() || op.manager.name.is_empty() || !is_tracked {
        return;
    }
    let Compared { changed, removed } = compare(old, value, schema(op));
    let (changed, removed) = (managed(op, changed), managed(op, removed));
    if changed.is_empty() && removed.is_empty() {
        if of_client {
            set(value, all);
        }
        return;
    }
    let me = mine(op, "Update", meta::time(now));
    for entry in &mut all {
        let taken = if entry.is(&me) { removed.clone() } else { changed.clone().union(&removed) };
        entry.fields = entry.fields.difference(&taken);
    }
    match all.iter_mut().find(|entry| entry.is(&me)) {
        Some(entry) => {
            entry.fields = entry.fields.clone().union(&changed);
            entry.time.clone_from(&me.time);
        }
        None => all.push(Entry { fields: changed, ..me }),
    }
    set(value, all);
}

/// An object after a configuration was applied to it, with the record of who manages what. `live` is `None` for a new one.
///
/// # Errors
/// 409 when others manage what it would change, and it is not forced.
pub(super) fn apply(
    op: &Op<'_>,
    live: Option<&Value>,
    config: &Value,
    force: bool,
    now: jiff::Timestamp,
) -> Result<Value, Status> {
    let schema = schema(op);
    let mut config = config.clone();
    drop_nulls(&mut config);
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let fields = managed(op, fields_of(&config, schema));
    let me = Entry { fields, ..mine(op, "Apply", meta::time(now)) };
    let Some(live) = live else {
        set(&mut config, vec![me]);
        return Ok(config);
    };
    let mut all = entries(live);
    if all.is_empty() {
        let fields = managed(&Op { part: Part::Main, ..op.clone() }, fields_of(live, schema));
        let time = live["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        all.push(Entry { manager: BEFORE.to_owned(), fields, subresource: String::new(), ..mine(op, "Update", time) });
    }
    let mut new = merge(live, &config, schema);
    let before = all.iter().find(|entry| entry.is(&me)).cloned();
    all.retain(|entry| !entry.is(&me));
    if let Some(before) = &before {
        let kept = all.iter().fold(me.fields.clone(), |kept, entry| kept.union(&entry.fields));
        remove(&mut new, &before.fields.difference(&me.fields), &kept, schema);
    }
    let Compared { changed, removed } = compare(live, &new, schema);
    let changed = managed(op, changed);
    let conflicts: Vec<(&Entry, Fields)> = all
        .iter()
        .map(|entry| (entry, entry.fields.intersection(&changed)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect();
    if !force {
        let allowed = client_side(op, live, schema);
        let refused: Vec<(&Entry, Fields)> = conflicts
            .into_iter()
            .map(|(entry, fields)| (entry, fields.difference(&allowed)))
            .filter(|(_, fields)| !fields.is_empty())
            .collect();
        if !refused.is_empty() {
            return Err(conflict(&refused));
        }
    }
    let taken = changed.clone().union(&managed(op, removed));
    for entry in &mut all {
        entry.fields = entry.fields.difference(&taken);
    }
    let same = taken.is_empty() && before.as_ref().is_some_and(|before| before.fields == me.fields);
    let time = before.filter(|_| same).map_or(me.time.clone(), |before| before.time);
    all.push(Entry { time, ..me });
    if op.manager.name == KUBECTL && !live["metadata"]["annotations"][LAST_APPLIED].is_null() {
        // Whoever goes back to client-side apply finds what was applied last.
        new["metadata"]["annotations"][LAST_APPLIED] = json!(format!("{config}\n"));
    }
    set(&mut new, all);
    Ok(new)
}

/// What kubectl applied on the client's side is its own when it applies on the server's side for the first time.
fn client_side(op: &Op<'_>, live: &Value, schema: Option<Schema<'_>>) -> Fields {
    let last = live["metadata"]["annotations"][LAST_APPLIED].as_str().filter(|_| op.manager.name == KUBECTL);
    let last: Option<Value> = last.and_then(|text| serde_json::from_str(text).ok());
    last.map(|last| managed(op, fields_of(&last, schema))).unwrap_or_default()
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn conflict(conflicts: &[(&Entry, Fields)]) -> Status {
    let mut causes = Vec::new();
    let mut told = Vec::new();
    for (entry, fields) in conflicts {
        let subresource = if entry.subresource.is_empty() {
            String::new()
        } else {
            format!(" with subresource {:?}", entry.subresource)
        };
        let at = if entry.operation == "Update" && !entry.time.is_empty() {
            format!(" at {}", entry.time)
        } else {
            String::new()
        };
        let who = format!("{:?}{subresource} using {}{at}", entry.manager, entry.version);
        let paths = fields.paths();
        for path in &paths {
            let (reason, message) = ("FieldManagerConflict".to_owned(), format!("conflict with {who}"));
            causes.push(Cause { reason, message, field: path.clone() });
        }
        told.push(match paths.as_slice() {
            [only] => format!("conflict with {who}: {only}"),
            many => format!("conflicts with {who}:\n- {}", many.join("\n- ")),
        });
    }
    let plural = if causes.len() == 1 { "" } else { "s" };
    let message = format!("Apply failed with {} conflict{plural}: {}", causes.len(), told.join("\n"));
    let mut status = Status::new(Reason::Conflict, message);
    status.causes = causes;
    status
}
