//! Query parameters of writes, checked as CreateOptions, UpdateOptions and PatchOptions are.

use api::{FieldErrors, Path, Status};
use serde_json::Value;

use super::decode::Validation;
use crate::request::Query;

/// Parameters of a create, update or patch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) validation: Validation,
}

impl WriteOptions {
    /// Reads and checks the parameters; `kind` names the options, for example `CreateOptions`.
    ///
    /// # Errors
    /// 422 for values that are not known.
    pub(crate) fn parse(query: &Query, kind: &str) -> Result<Self, Status> {
        let mut errors = FieldErrors::default();
        let given: Vec<&str> = query.all("dryRun").collect();
        let dry_run = check_dry_run(&given, &mut errors);
        let validation = match query.text("fieldValidation") {
            None | Some("Warn") => Validation::Warn,
            Some("Ignore") => Validation::Ignore,
            Some("Strict") => Validation::Strict,
            Some(other) => {
                let supported = ["Ignore", "Strict", "Warn"];
                errors.not_supported(&Path::new("fieldValidation"), other, &supported);
                Validation::Strict
            }
        };
        if errors.is_empty() { Ok(Self { dry_run, validation }) } else { Err(invalid(kind, &errors)) }
    }
}

/// Whether a write is only tried.
pub(super) fn check_dry_run(given: &[&str], errors: &mut FieldErrors) -> bool {
    for value in given.iter().filter(|value| **value != "All" && !value.is_empty()) {
        errors.not_supported(&Path::new("dryRun"), Value::from(vec![*value]), &["All"]);
    }
    given.iter().any(|value| !value.is_empty())
}

/// 422 for options.
pub(super) fn invalid(kind: &str, errors: &FieldErrors) -> Status {
    Status::invalid("meta.k8s.io", kind, "", errors)
}
