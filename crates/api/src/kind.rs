//! What is known about a kind, and the catalogue of all of them.
//!
//! A built-in kind is one [`KindDef`] constant in the `kinds` crate; a custom kind becomes a [`Kind`] at run
//! time. The server and the store see only [`Kind`]: adding a kind changes no line there.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::field::FieldErrors;
use crate::object::Object;

/// Numbers a kind within one catalogue. Not stable across processes; never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindId(pub u16);

/// A kind's name without its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Kind, for example `Pod`.
    pub kind: &'static str,
}

impl GroupKind {
    /// The name of a typed kind.
    pub const fn of<K: k8s_openapi::Resource>() -> Self {
        Self { group: K::GROUP, kind: K::KIND }
    }
}

/// How a table cell is to be read, in the words of the Table API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A date, printed as an age.
    Date,
}

/// What a cell may read beside the object.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The time at which the table is made.
    pub now: Timestamp,
}

/// One column of a kind's table (`kubectl get`).
pub struct Column<K> {
    /// Header as kubectl prints it, for example `Ready`.
    pub name: &'static str,
    /// Type of the cells.
    pub kind: ColumnType,
    /// Format; `name` marks the column that names the object.
    pub format: &'static str,
    /// 0 is always shown; 1 only with `-o wide`.
    pub priority: i32,
    /// Makes the cell.
    pub cell: fn(&K, Row) -> Value,
}

/// A column without its cells.
#[derive(Clone, Copy, Debug)]
pub struct ColumnHead {
    /// Header.
    pub name: &'static str,
    /// Type of the cells.
    pub kind: ColumnType,
    /// Format.
    pub format: &'static str,
    /// 0 is always shown; 1 only with `-o wide`.
    pub priority: i32,
}

/// What one kind knows that its structure does not tell.
pub struct Rules<K: 'static> {
    /// Fills defaults in; runs before validation on every write; idempotent.
    pub defaults: fn(&mut Value),
    /// Adjusts what a client may not decide on create (`old` is `None`) and update: status cleared, fields that
    /// the server owns carried over. Runs before defaults. The generic part (status/spec separation, generation,
    /// metadata) is the server's.
    pub prepare: fn(&mut Value, Option<&Value>),
    /// Reports every problem, not the first. `old` is `None` on create.
    pub validate: fn(&K, Option<&K>, &mut FieldErrors),
    /// Columns of the kind's table.
    pub columns: &'static [Column<K>],
}

impl<K: 'static> Rules<K> {
    /// No defaults, no rules, the default columns (name and age).
    pub const NONE: Self = Self { defaults: |_| {}, prepare: |_, _| {}, validate: |_, _, _| {}, columns: &[] };
}

/// Where the scale subresource reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct ScalePaths {
    /// Dotted path of the wanted replicas.
    pub spec_replicas: &'static str,
    /// Dotted path of the observed replicas.
    pub status_replicas: &'static str,
    /// Dotted path of the label selector: a LabelSelector object or a plain map or string.
    pub selector: &'static str,
}

/// A selectable field whose value is not simply what stands at its own path.
#[derive(Clone, Copy, Debug)]
pub struct ComputedField {
    /// Name in field selectors.
    pub name: &'static str,
    /// Dotted path of the value.
    pub path: &'static str,
    /// Value when nothing stands there.
    pub absent: &'static str,
}

/// A built-in kind, as a constant.
#[derive(Clone, Copy)]
pub struct KindDef {
    /// API group; empty for core.
    pub group: &'static str,
    /// Version in which objects are stored.
    pub version: &'static str,
    /// Kind, for example `Deployment`.
    pub kind: &'static str,
    /// Plural as in the URL.
    pub plural: &'static str,
    /// Short names, for example `deploy`.
    pub short_names: &'static [&'static str],
    /// Categories, for example `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether there is a status subresource.
    pub status: bool,
    /// The scale subresource.
    pub scale: Option<ScalePaths>,
    /// Dotted paths usable in field selectors, beside `metadata.name` and `metadata.namespace`.
    pub selectable: &'static [&'static str],
    /// Selectable fields that are not simply what stands at their path.
    pub computed: &'static [ComputedField],
    /// Whether `metadata.generation` counts changes of everything but metadata and status.
    pub generation: bool,
    rules: &'static AnyRules,
    hooks: Hooks,
}

/// A kind's [`Rules`] with their type forgotten.
type AnyRules = dyn Any + Send + Sync;

/// Decodes and validates a value.
type Validate = fn(&AnyRules, &Value, Option<&Object>, &mut FieldErrors) -> Result<(), serde_json::Error>;

/// What calls into [`AnyRules`], made where the type is known.
#[derive(Clone, Copy)]
struct Hooks {
    defaults: fn(&AnyRules, &mut Value),
    prepare: fn(&AnyRules, &mut Value, Option<&Value>),
    validate: Validate,
    heads: fn(&AnyRules) -> Vec<ColumnHead>,
    cells: fn(&AnyRules, &Object, Row) -> Vec<Value>,
}

impl KindDef {
    /// A cluster-scoped kind with the names that its type carries.
    pub const fn cluster<K>(rules: &'static Rules<K>) -> Self
    where
        K: k8s_openapi::Resource + DeserializeOwned + Any + Send + Sync,
    {
        Self {
            group: K::GROUP,
            version: K::VERSION,
            kind: K::KIND,
            plural: K::URL_PATH_SEGMENT,
            short_names: &[],
            categories: &[],
            namespaced: false,
            status: false,
            scale: None,
            selectable: &[],
            computed: &[],
            generation: false,
            rules,
            hooks: Hooks {
                defaults: |rules, value| (rules_of::<K>(rules).defaults)(value),
                prepare: |rules, value, old| (rules_of::<K>(rules).prepare)(value, old),
                validate: validate::<K>,
                heads: |rules| rules_of::<K>(rules).columns.iter().map(head).collect(),
                cells: cells::<K>,
            },
        }
    }

    /// A namespaced kind with the names that its type carries.
    pub const fn namespaced<K>(rules: &'static Rules<K>) -> Self
    where
        K: k8s_openapi::Resource + DeserializeOwned + Any + Send + Sync,
    {
        let mut def = Self::cluster(rules);
        def.namespaced = true;
        def
    }

    /// Adds short names.
    #[must_use]
    pub const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }

    /// Puts the kind into `kubectl get all`.
    #[must_use]
    pub const fn in_all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    /// Adds the status subresource.
    #[must_use]
    pub const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    /// Adds the scale subresource.
    #[must_use]
    pub const fn with_scale(mut self, paths: ScalePaths) -> Self {
        self.scale = Some(paths);
        self
    }

    /// Names the fields that field selectors may use.
    #[must_use]
    pub const fn select_by(mut self, paths: &'static [&'static str]) -> Self {
        self.selectable = paths;
        self
    }

    /// Says where selectable fields stand that have another name in selectors, and what their absence means.
    #[must_use]
    pub const fn computing(mut self, fields: &'static [ComputedField]) -> Self {
        self.computed = fields;
        self
    }

    /// Counts changes in `metadata.generation`.
    #[must_use]
    pub const fn with_generation(mut self) -> Self {
        self.generation = true;
        self
    }
}

fn rules_of<K: 'static>(rules: &AnyRules) -> &Rules<K> {
    rules.downcast_ref().expect("a KindDef's rules are of the type it was made for")
}

fn validate<K: DeserializeOwned + Any + Send + Sync>(
    rules: &AnyRules,
    value: &Value,
    old: Option<&Object>,
    errors: &mut FieldErrors,
) -> Result<(), serde_json::Error> {
    let new = K::deserialize(value)?;
    (rules_of::<K>(rules).validate)(&new, old.and_then(Object::typed), errors);
    Ok(())
}

fn head<K>(column: &Column<K>) -> ColumnHead {
    ColumnHead { name: column.name, kind: column.kind, format: column.format, priority: column.priority }
}

fn cells<K: DeserializeOwned + Any + Send + Sync>(rules: &AnyRules, object: &Object, row: Row) -> Vec<Value> {
    let columns = rules_of::<K>(rules).columns;
    let Some(typed) = object.typed::<K>() else { return vec![Value::Null; columns.len()] };
    columns.iter().map(|column| (column.cell)(typed, row)).collect()
}

/// A kind that is served: its definition under the number that it has in this process.
pub struct Kind {
    /// Its number.
    pub id: KindId,
    def: KindDef,
}

impl std::ops::Deref for Kind {
    type Target = KindDef;

    fn deref(&self) -> &KindDef {
        &self.def
    }
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods` or `deployments.apps`, as error messages name the resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Runs the kind's part of preparing a write.
    pub fn prepare(&self, value: &mut Value, old: Option<&Value>) {
        (self.hooks.prepare)(self.rules, value, old);
    }

    /// Fills defaults in.
    pub fn fill_defaults(&self, value: &mut Value) {
        (self.hooks.defaults)(self.rules, value);
    }

    /// Validates `value` against the kind's rules.
    ///
    /// # Errors
    /// When `value` does not decode as the kind's type; the schema check before should have caught that.
    pub fn validate(
        &self,
        value: &Value,
        old: Option<&Object>,
        errors: &mut FieldErrors,
    ) -> Result<(), serde_json::Error> {
        (self.hooks.validate)(self.rules, value, old, errors)
    }

    /// Heads of the kind's table columns; empty means the default: name and age.
    pub fn column_heads(&self) -> Vec<ColumnHead> {
        (self.hooks.heads)(self.rules)
    }

    /// Cells of one row, in the order of the heads.
    pub fn cells(&self, object: &Object, row: Row) -> Vec<Value> {
        (self.hooks.cells)(self.rules, object, row)
    }
}

/// A further version under which a stored kind is served, with the way to and from it.
#[derive(Clone, Copy)]
pub struct Alias {
    /// Group of the served version.
    pub group: &'static str,
    /// Served version.
    pub version: &'static str,
    /// The stored kind.
    pub stored: GroupKind,
    /// Stored form to served form.
    pub serve: fn(&mut Value),
    /// Served form to stored form.
    pub store: fn(&mut Value),
}

/// Every kind that is served.
pub struct Catalogue {
    kinds: Vec<Arc<Kind>>,
    aliases: Vec<Alias>,
    by_name: HashMap<(&'static str, &'static str), KindId>,
    by_plural: HashMap<(&'static str, &'static str), KindId>,
}

impl Catalogue {
    /// Numbers the definitions in their order.
    ///
    /// # Panics
    /// When there are more than 65,535 kinds.
    pub fn new(defs: &[KindDef], aliases: &[Alias]) -> Self {
        let kinds: Vec<Arc<Kind>> = defs
            .iter()
            .zip(0..=u16::MAX)
            .map(|(def, number)| Arc::new(Kind { id: KindId(number), def: *def }))
            .collect();
        let by_name = kinds.iter().map(|kind| ((kind.group, kind.kind), kind.id)).collect();
        let by_plural = kinds.iter().map(|kind| ((kind.group, kind.plural), kind.id)).collect();
        Self { kinds, aliases: aliases.to_vec(), by_name, by_plural }
    }

    /// All kinds, in order.
    pub fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    /// Further served versions.
    pub fn aliases(&self) -> &[Alias] {
        &self.aliases
    }

    /// A kind by its number.
    pub fn kind(&self, id: KindId) -> &Arc<Kind> {
        &self.kinds[usize::from(id.0)]
    }

    /// A kind by group and kind name.
    pub fn by_kind(&self, group: &str, kind: &str) -> Option<&Arc<Kind>> {
        self.by_name.get(&(group, kind)).map(|id| self.kind(*id))
    }

    /// A kind by group and plural.
    pub fn by_plural(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.by_plural.get(&(group, plural)).map(|id| self.kind(*id))
    }

    /// The number of a typed kind.
    ///
    /// # Panics
    /// When the kind is not in the catalogue: a bug of the caller.
    pub fn id_of<K: k8s_openapi::Resource>(&self) -> KindId {
        *self.by_name.get(&(K::GROUP, K::KIND)).expect("typed kinds are in the catalogue")
    }
}
