//! The one error that crosses HTTP: `meta/v1 Status`, with the reasons and texts that kubectl prints.

use std::fmt;

use serde_json::{Value, json};

use crate::field::FieldErrors;

/// Machine-readable reason of a `Status`, with its HTTP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 406
    NotAcceptable,
    /// 409, on create
    AlreadyExists,
    /// 409, on update
    Conflict,
    /// 410, a resource version that is too old to watch from
    Gone,
    /// 410, a list position or resource version that is no longer kept
    Expired,
    /// 413
    RequestEntityTooLarge,
    /// 415
    UnsupportedMediaType,
    /// 422
    Invalid,
    /// 429
    TooManyRequests,
    /// 500
    InternalError,
    /// 501: Kubernetes has it, Shipmate does not yet
    NotImplemented,
    /// 503
    ServiceUnavailable,
    /// 504
    Timeout,
}

impl Reason {
    /// HTTP status code.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError => 500,
            Self::NotImplemented => 501,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The reason on the wire.
    pub fn text(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Expired => "Expired",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::Invalid => "Invalid",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::NotImplemented => "NotImplemented",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
        }
    }
}

/// One cause in a status' details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable reason, for example `FieldValueInvalid`.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// The field, or the empty string.
    pub field: String,
}

/// A refusal, as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Reason and with it the HTTP code.
    pub reason: Reason,
    /// One line for people.
    pub message: String,
    /// Group of what it is about.
    pub group: String,
    /// Resource (plural) or kind of what it is about.
    pub kind: String,
    /// Name of what it is about.
    pub name: String,
    /// uid of what it is about.
    pub uid: String,
    /// Causes.
    pub causes: Vec<Cause>,
    /// After how many seconds to try again.
    pub retry_after: Option<u32>,
}

impl Status {
    /// A refusal about nothing in particular.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            group: String::new(),
            kind: String::new(),
            name: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after: None,
        }
    }

    /// Says what it is about.
    #[must_use]
    pub fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        group.clone_into(&mut self.group);
        kind.clone_into(&mut self.kind);
        name.clone_into(&mut self.name);
        self
    }

    /// 404 `pods "web" not found`.
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        Self::new(Reason::NotFound, format!("{} {name:?} not found", qualified(group, plural)))
            .about(group, plural, name)
    }

    /// 409 `pods "web" already exists`.
    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        Self::new(Reason::AlreadyExists, format!("{} {name:?} already exists", qualified(group, plural)))
            .about(group, plural, name)
    }

    /// 409 `Operation cannot be fulfilled on pods "web": …`.
    pub fn conflict(group: &str, plural: &str, name: &str, detail: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {detail}", qualified(group, plural));
        Self::new(Reason::Conflict, message).about(group, plural, name)
    }

    /// 422 `Pod "web" is invalid: …`.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &FieldErrors) -> Self {
        let shown = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let message = format!("{shown} {name:?} is invalid: {errors}");
        let mut status = Self::new(Reason::Invalid, message).about(group, kind, name);
        status.causes = errors.causes();
        status
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// 403 with the message as given.
    pub fn forbidden(group: &str, plural: &str, name: &str, detail: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {detail}", qualified(group, plural));
        Self::new(Reason::Forbidden, message).about(group, plural, name)
    }

    /// 500.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {message}"))
    }

    /// 501: names what is missing.
    pub fn not_implemented(what: &str) -> Self {
        Self::new(Reason::NotImplemented, format!("shipmate does not support {what} yet"))
    }

    /// HTTP status code.
    pub fn code(&self) -> u16 {
        self.reason.code()
    }

    /// The body on the wire.
    pub fn to_json(&self) -> Value {
        let mut details = serde_json::Map::new();
        for (field, text) in [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)] {
            if !text.is_empty() {
                details.insert(field.to_owned(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(cause_json).collect();
            details.insert("causes".to_owned(), Value::Array(causes));
        }
        if let Some(seconds) = self.retry_after {
            details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason.text(),
            "code": self.code(),
        });
        if !details.is_empty() {
            body["details"] = Value::Object(details);
        }
        body
    }
}

fn cause_json(cause: &Cause) -> Value {
    let mut json = json!({"reason": cause.reason, "message": cause.message});
    if !cause.field.is_empty() {
        json["field"] = json!(cause.field);
    }
    json
}

fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}
