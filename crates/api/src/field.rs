//! Everything that is wrong with an object, each with its field: the vocabulary of validation.
//!
//! The words are those of Kubernetes (`Invalid value`, `Required value` …), because kubectl prints them.

use std::fmt;

use serde_json::Value;

use crate::status::Cause;

/// The path of a field, as Kubernetes writes it: `spec.containers[0].name`, `metadata.labels[a/b]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The path of a top-level field; dots go deeper.
    pub fn new(field: &str) -> Self {
        Self(field.to_owned())
    }

    /// A field below this one.
    #[must_use]
    pub fn child(&self, field: &str) -> Self {
        if self.0.is_empty() { Self(field.to_owned()) } else { Self(format!("{}.{field}", self.0)) }
    }

    /// An element of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An entry of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of problem a field has; the reason of a cause in a `Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorType {
    /// A value is missing.
    Required,
    /// A value is malformed.
    Invalid,
    /// A value is not one of those that are known.
    NotSupported,
    /// A value may not be set, or not changed.
    Forbidden,
    /// A value that must be unique stands twice.
    Duplicate,
    /// A value names something that does not exist.
    NotFound,
    /// A value is too long.
    TooLong,
    /// There are too many values.
    TooMany,
}

impl FieldErrorType {
    /// The reason on the wire.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// What kind of problem.
    pub kind: FieldErrorType,
    /// Where.
    pub path: Path,
    /// What is wrong, without the path.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All problems of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    fn push(&mut self, kind: FieldErrorType, path: &Path, message: String) {
        self.0.push(FieldError { kind, path: path.clone(), message });
    }

    /// The field must be set.
    pub fn required(&mut self, path: &Path, detail: &str) {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        self.push(FieldErrorType::Required, path, message);
    }

    /// The field's value is malformed.
    pub fn invalid(&mut self, path: &Path, value: impl Into<Value>, detail: &str) {
        let message = format!("Invalid value: {}: {detail}", shown(&value.into()));
        self.push(FieldErrorType::Invalid, path, message);
    }

    /// The field's value is none of `supported`.
    pub fn not_supported(&mut self, path: &Path, value: impl Into<Value>, supported: &[&str]) {
        let mut supported: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
        supported.sort();
        let message =
            format!("Unsupported value: {}: supported values: {}", shown(&value.into()), supported.join(", "));
        self.push(FieldErrorType::NotSupported, path, message);
    }

    /// The field may not be set, or not changed.
    pub fn forbidden(&mut self, path: &Path, detail: &str) {
        self.push(FieldErrorType::Forbidden, path, format!("Forbidden: {detail}"));
    }

    /// The value stands twice in a list that must be unique.
    pub fn duplicate(&mut self, path: &Path, value: impl Into<Value>) {
        self.push(FieldErrorType::Duplicate, path, format!("Duplicate value: {}", shown(&value.into())));
    }

    /// The value names something that does not exist.
    pub fn not_found(&mut self, path: &Path, value: impl Into<Value>) {
        self.push(FieldErrorType::NotFound, path, format!("Not found: {}", shown(&value.into())));
    }

    /// The value is longer than `max` bytes.
    pub fn too_long(&mut self, path: &Path, max: usize) {
        self.push(FieldErrorType::TooLong, path, format!("Too long: may not be more than {max} bytes"));
    }

    /// There are more than `max` values.
    pub fn too_many(&mut self, path: &Path, actual: usize, max: usize) {
        self.push(FieldErrorType::TooMany, path, format!("Too many: {actual}: must have at most {max} items"));
    }

    /// The field changed although it may not.
    pub fn immutable<T: PartialEq>(&mut self, path: &Path, new: &T, old: &T, value: impl Into<Value>) {
        if new != old {
            self.invalid(path, value, "field is immutable");
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The causes of a `Status`.
    pub fn causes(&self) -> Vec<Cause> {
        self.0
            .iter()
            .map(|error| Cause {
                reason: error.kind.reason().to_owned(),
                message: error.message.clone(),
                field: error.path.to_string(),
            })
            .collect()
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(FieldError::to_string).collect();
        match texts.as_slice() {
            [one] => f.write_str(one),
            many => write!(f, "[{}]", many.join(", ")),
        }
    }
}

/// A value as Kubernetes shows it in an error: text in quotes, everything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
