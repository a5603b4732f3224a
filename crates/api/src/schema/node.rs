//! One node of a schema tree: plain data, as small as the descriptions allow.
//!
//! All of Kubernetes is about 3,000 properties, resident for as long as the process lives; so what most nodes lack
//! sits behind one pointer in [`Extra`].

use std::sync::Arc;

use serde_json::Value;

/// JSON type of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// Anything; the value is kept as it is.
    #[default]
    Any,
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// What a scalar is read as, beside its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Nothing special.
    #[default]
    None,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// Floating point number.
    Double,
    /// Base64 bytes.
    Byte,
    /// RFC 3339 time with seconds (metav1.Time).
    DateTime,
    /// RFC 3339 time with microseconds (metav1.MicroTime).
    MicroTime,
    /// `resource.Quantity`: a string, or a number that becomes one.
    Quantity,
    /// A whole number or a string.
    IntOrString,
    /// A format of a custom kind that changes nothing about reading; its name is in [`Extra::format`].
    Other,
}

/// How a list is merged by server-side apply (`x-kubernetes-list-type`, KEP-555).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// Replaced as a whole.
    #[default]
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Objects told apart by [`Extra::list_keys`].
    Map,
}

/// How an object is merged by server-side apply (`x-kubernetes-map-type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapType {
    /// Field by field.
    #[default]
    Granular,
    /// Replaced as a whole.
    Atomic,
}

/// `x-kubernetes-patch-strategy`: how strategic merge patch treats a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Elements are merged (by [`Extra::merge_key`] when they are objects).
    pub merge: bool,
    /// `$retainKeys` clears the fields it does not list.
    pub retain_keys: bool,
    /// The patch's value replaces the field.
    pub replace: bool,
}

impl PatchStrategy {
    /// Reads `merge,retainKeys`; other words are passed over.
    pub fn from_text(text: &str) -> Self {
        let has = |word| text.split(',').any(|part| part == word);
        Self { merge: has("merge"), retain_keys: has("retainKeys"), replace: has("replace") }
    }

    /// Writes `merge,retainKeys`.
    pub fn to_text(self) -> String {
        let words = [(self.merge, "merge"), (self.replace, "replace"), (self.retain_keys, "retainKeys")];
        let words: Vec<&str> = words.into_iter().filter_map(|(set, word)| set.then_some(word)).collect();
        words.join(",")
    }
}

/// Values of an object that are not named properties.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Additional {
    /// Unknown fields are not part of the type.
    #[default]
    No,
    /// Any value under any key.
    Any,
    /// A map: every value has this schema.
    Of(Box<Node>),
}

/// A named property of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// JSON name.
    pub name: Arc<str>,
    /// Its schema at this place.
    pub node: Node,
}

/// What few nodes have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    /// `x-kubernetes-list-map-keys`.
    pub list_keys: Vec<Arc<str>>,
    /// `x-kubernetes-patch-merge-key`.
    pub merge_key: Option<Arc<str>>,
    /// Allowed values.
    pub enumeration: Vec<Value>,
    /// Default value.
    pub default: Option<Value>,
    /// Name of the Go type as decode errors show it, where it does not follow from the JSON type.
    pub go_type: Option<Arc<str>>,
    /// Name of a format for which [`Format`] has no variant.
    pub format: Option<Arc<str>>,
}

/// A schema, or a use of one: when `reference` is set, structure comes from the definition of that name, while
/// description, list type, map type and patch strategy are those of this place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// JSON type.
    pub kind: Type,
    /// Reading of scalars.
    pub format: Format,
    /// Merging of lists.
    pub list: ListType,
    /// Merging of objects.
    pub map: MapType,
    /// Strategic merge patch.
    pub strategy: PatchStrategy,
    /// `null` is a value here (custom kinds).
    pub nullable: bool,
    /// Fields that the schema does not name are kept (`x-kubernetes-preserve-unknown-fields`).
    pub preserve: bool,
    /// The object is a whole Kubernetes object (`x-kubernetes-embedded-resource`).
    pub embedded: bool,
    /// Name of the definition that gives the structure.
    pub reference: Option<Arc<str>>,
    /// What the field is for.
    pub description: Option<Arc<str>>,
    /// Named fields, sorted by name.
    pub properties: Box<[Property]>,
    /// Names of the fields that must be present.
    pub required: Box<[Arc<str>]>,
    /// Fields without a name of their own.
    pub additional: Additional,
    /// Schema of the elements of an array.
    pub items: Option<Box<Node>>,
    /// What few nodes have.
    pub extra: Option<Box<Extra>>,
}

impl Node {
    /// The schema of a named field.
    pub fn property(&self, name: &str) -> Option<&Node> {
        let at = self.properties.binary_search_by(|property| property.name.as_ref().cmp(name)).ok()?;
        Some(&self.properties[at].node)
    }

    /// `x-kubernetes-list-map-keys`, empty when the list is not a map.
    pub fn list_keys(&self) -> &[Arc<str>] {
        self.extra.as_ref().map_or(&[], |extra| &extra.list_keys)
    }

    /// `x-kubernetes-patch-merge-key`.
    pub fn merge_key(&self) -> Option<&str> {
        self.extra.as_ref()?.merge_key.as_deref()
    }

    /// The default value.
    pub fn default_value(&self) -> Option<&Value> {
        self.extra.as_ref()?.default.as_ref()
    }

    /// The rare parts, made when absent.
    pub fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
}
