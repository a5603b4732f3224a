//! Patches as they come over HTTP: which kind it is, and its application.

use api::patch::{PatchError, json_patch, merge_patch, strategic_merge};
use api::schema::Schema;
use api::{Reason, Status};
use http::HeaderMap;
use serde_json::Value;

use crate::http::media::content_type;
use crate::route::Served;

/// Whether a body is a configuration to be applied (server-side apply), in YAML or JSON.
pub(crate) fn is_apply(headers: &HeaderMap) -> bool {
    content_type(headers) == "application/apply-patch+yaml"
}

/// Kinds of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchType {
    Json,
    Merge,
    Strategic,
}

impl PatchType {
    /// Reads `Content-Type`.
    ///
    /// # Errors
    /// 415 for anything unknown, and for an apply where only patches are.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        match content_type(headers).as_str() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            _ => Err(Status::new(
                Reason::UnsupportedMediaType,
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
            )),
        }
    }

    /// The patched object; `schema` is that of the target.
    ///
    /// # Errors
    /// 400 for malformed patches, 422 for those that do not fit.
    pub(crate) fn apply(
        self,
        schema: Option<Schema<'_>>,
        target: &Value,
        patch: &Value,
        served: &Served,
        name: &str,
    ) -> Result<Value, Status> {
        let patched = match self {
            Self::Json => json_patch(target, patch),
            Self::Merge => merge_patch(target, patch),
            Self::Strategic => match schema {
                Some(schema) => strategic_merge(target, patch, schema),
                None => merge_patch(target, patch),
            },
        };
        patched.map_err(|error| refused(&error, served, name))
    }
}

fn refused(error: &PatchError, served: &Served, name: &str) -> Status {
    let reason = match error.code() {
        400 => Reason::BadRequest,
        413 => Reason::RequestEntityTooLarge,
        422 => Reason::Invalid,
        _ => Reason::InternalError,
    };
    match error {
        // About no object, as in Kubernetes: kubectl shows the message only then.
        PatchError::NotApplicable(_) => {
            Status::new(reason, format!("the server rejected our request due to an error in our request: {error}"))
        }
        _ => Status::new(reason, error.to_string()).about(served.group(), served.kind.plural, name),
    }
}
